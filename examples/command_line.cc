#include "examples/command_line.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace coaio::examples {
namespace {

template <typename Number>
bool parse(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

CommandLine::CommandLine(int argc, char** argv, std::string_view usage) : usage_(usage) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help") {
      std::printf("%s", usage_.c_str());
      std::exit(0);
    }
    const size_t equals = argument.find('=');
    if (!argument.starts_with("--") || equals == std::string::npos) {
      reject("expected --name=value, not '" + argument + "'");
    }
    values_[argument.substr(2, equals - 2)] = argument.substr(equals + 1);
  }
}

std::string CommandLine::text(const std::string& name, std::string fallback) {
  auto node = values_.extract(name);
  return node.empty() ? std::move(fallback) : std::move(node.mapped());
}

std::string CommandLine::choice(const std::string& name,
                                std::initializer_list<std::string_view> allowed) {
  std::string value = text(name, std::string(*allowed.begin()));
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    std::string known;
    for (const std::string_view& one : allowed) {
      known += (known.empty() ? "" : ", ") + std::string(one);
    }
    reject("--" + name + " does not know '" + value + "': use one of " + known);
  }
  return value;
}

int64_t CommandLine::integer(const std::string& name, int64_t fallback, int64_t min, int64_t max) {
  const std::string value = text(name, std::to_string(fallback));
  int64_t number = 0;
  if (!parse(value, number) || number < min || number > max) {
    reject("--" + name + " wants an integer from " + std::to_string(min) + " to " +
           std::to_string(max) + ", not '" + value + "'");
  }
  return number;
}

double CommandLine::seconds(const std::string& name, double fallback, double max) {
  const std::string value = text(name, std::to_string(fallback));
  double number = 0;
  // The negated form also refuses NaN.
  if (!parse(value, number) || !(number >= 0 && number <= max)) {
    reject("--" + name + " wants seconds from 0 to " + std::to_string(max) + ", not '" + value +
           "'");
  }
  return number;
}

void CommandLine::finish() {
  if (!values_.empty()) {
    reject("unknown argument --" + values_.begin()->first);
  }
}

void CommandLine::reject(const std::string& sentence) const {
  std::fprintf(stderr, "%s\n\n%s", sentence.c_str(), usage_.c_str());
  std::exit(2);
}

}  // namespace coaio::examples
