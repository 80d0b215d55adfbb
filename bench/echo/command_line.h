// `--name=value` arguments for the programs of this directory.
//
//   CommandLine arguments(argc, argv, kUsage);
//   const int64_t port = arguments.integer("port", 0, 0, 65535);
//   const std::string wait = arguments.choice("wait", {"block", "spin"});   // the first one is the
//   default arguments.finish();
//
// Errors: anything unknown, malformed or out of range ends the program with the usage text and exit
// code 2.

#ifndef COAIO_BENCH_ECHO_COMMAND_LINE_H_
#define COAIO_BENCH_ECHO_COMMAND_LINE_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

namespace coaio::bench {

class CommandLine {
 public:
  CommandLine(int argc, char** argv, std::string_view usage);

  std::string text(const std::string& name, std::string fallback);
  std::string choice(const std::string& name, std::initializer_list<std::string_view> allowed);
  int64_t integer(const std::string& name, int64_t fallback, int64_t min, int64_t max);
  double seconds(const std::string& name, double fallback, double max);

  // Rejects the arguments that nobody has asked for.
  void finish();

  [[noreturn]] void reject(const std::string& sentence) const;

 private:
  std::string usage_;
  std::map<std::string, std::string> values_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_COMMAND_LINE_H_
