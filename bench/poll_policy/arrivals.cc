#include "bench/poll_policy/arrivals.h"

#include <chrono>
#include <random>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace coaio::bench {
namespace {

using std::chrono::nanoseconds;

nanoseconds microseconds(double us) {
  return nanoseconds(static_cast<nanoseconds::rep>(us * 1000));
}

bool parse_number(absl::string_view text, absl::string_view prefix, double& number) {
  return absl::ConsumePrefix(&text, prefix) && absl::SimpleAtod(text, &number) && number >= 0;
}

}  // namespace

absl::StatusOr<Arrivals> parse_arrivals(absl::string_view text) {
  double number = 0;
  if (parse_number(text, "fixed:", number)) {
    return [time = microseconds(number)](nanoseconds) { return time; };
  }
  if (parse_number(text, "exponential:", number) && number > 0) {
    return [random = std::mt19937_64(1), us = std::exponential_distribution<double>(1 / number)](
               nanoseconds) mutable { return microseconds(us(random)); };
  }
  if (parse_number(text, "phases:", number) && number > 0) {
    return [phase = microseconds(number * 1000)](nanoseconds since_begin) {
      return microseconds(since_begin / phase % 2 == 0 ? 5 : 500);
    };
  }
  if (text == "bursts") {
    return [i = 0](nanoseconds) mutable { return microseconds(i++ % 9 < 8 ? 3 : 1000); };
  }
  if (text == "bimodal") {
    return [random = std::mt19937_64(1), short_one = std::bernoulli_distribution(0.7)](
               nanoseconds) mutable { return microseconds(short_one(random) ? 5 : 300); };
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text, "\" is none of fixed:US, exponential:MEAN_US, bursts, bimodal and phases:MS"));
}

}  // namespace coaio::bench
