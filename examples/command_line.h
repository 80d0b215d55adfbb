// `--name=value` arguments for the example and benchmark programs.
//
//   CommandLine arguments(argc, argv, kUsage);
//   const int64_t port = arguments.integer("port", 0, 0, 65535);
//   const std::string wait = arguments.choice("wait", {"block", "spin"});  // by default the first
//   arguments.finish();
//
// Errors: anything unknown, malformed or out of range ends the program with the usage text and exit
// code 2.

#ifndef COAIO_EXAMPLES_COMMAND_LINE_H_
#define COAIO_EXAMPLES_COMMAND_LINE_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio::examples {

class CommandLine {
 public:
  CommandLine(int argc, char** argv, std::string_view usage);

  std::string text(const std::string& name, std::string fallback);
  std::string choice(const std::string& name, std::initializer_list<std::string_view> allowed);
  int64_t integer(const std::string& name, int64_t fallback, int64_t min, int64_t max);
  double seconds(const std::string& name, double fallback, double max);

  // What `parse` makes of the text; its error is the sentence that comes before the usage text.
  template <typename T>
  T value(const std::string& name, std::string fallback,
          absl::StatusOr<T> (*parse)(absl::string_view)) {
    absl::StatusOr<T> parsed = parse(text(name, std::move(fallback)));
    if (!parsed.ok()) {
      reject("--" + name + ": " + std::string(parsed.status().message()));
    }
    return *std::move(parsed);
  }

  // Rejects the arguments that the program has not read.
  void finish();

  [[noreturn]] void reject(const std::string& sentence) const;

 private:
  std::string usage_;
  std::map<std::string, std::string> values_;
};

}  // namespace coaio::examples

#endif  // COAIO_EXAMPLES_COMMAND_LINE_H_
