#include "runtime/polling/poll_policy.h"

#include <chrono>
#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace coaio {
namespace {

// "NAME:NUMBER", with a number that is not zero.
bool parse_number(absl::string_view text, absl::string_view prefix, std::uint32_t& number) {
  return absl::ConsumePrefix(&text, prefix) && absl::SimpleAtoi(text, &number) && number != 0;
}

absl::Status not_negative(absl::string_view name, std::chrono::nanoseconds duration) {
  return duration >= std::chrono::nanoseconds(0)
             ? absl::OkStatus()
             : absl::InvalidArgumentError(absl::StrCat(name, " is ", duration.count(),
                                                       " ns: a poll policy takes no negative "
                                                       "durations; use 0 for none"));
}

}  // namespace

absl::Status validate(const PollPolicy& policy) {
  if (const auto* fixed = std::get_if<PollFixed>(&policy)) {
    return not_negative("PollFixed::max", fixed->max);
  }
  if (const auto* rule = std::get_if<PollGrowShrink>(&policy)) {
    return not_negative("PollGrowShrink::max", rule->max);
  }
  if (const auto* learned = std::get_if<PollLearned>(&policy)) {
    return not_negative("PollLearned::wake_cost", learned->wake_cost);
  }
  return absl::OkStatus();
}

absl::StatusOr<PollPolicy> parse_poll_policy(absl::string_view text) {
  std::uint32_t number = 0;
  if (text == "off") {
    return PollOff{};
  }
  if (text == "learned") {
    return PollLearned{};
  }
  if (text == "learned_late") {
    return PollLearned{.late = true};
  }
  if (parse_number(text, "fixed:", number)) {
    return PollFixed{.max = std::chrono::microseconds(number)};
  }
  if (parse_number(text, "grow_shrink:", number)) {
    return PollGrowShrink{.max = std::chrono::microseconds(number)};
  }
  if (parse_number(text, "learned:", number)) {
    return PollLearned{.latency_weight = number};
  }
  if (parse_number(text, "learned_late:", number)) {
    return PollLearned{.latency_weight = number, .late = true};
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown poll policy \"", text,
      "\": use off, fixed:MAX or grow_shrink:MAX with MAX in microseconds, or "
      "learned:WEIGHT or learned_late:WEIGHT with how much CPU time latency is worth"));
}

}  // namespace coaio
