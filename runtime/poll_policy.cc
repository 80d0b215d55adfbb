#include "runtime/poll_policy.h"

#include <algorithm>
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

using std::chrono::nanoseconds;

constexpr nanoseconds kFirstWindow = std::chrono::microseconds(4);

nanoseconds grown(nanoseconds window, const PollGrowShrink& rule) {
  if (window == nanoseconds(0)) {
    return std::min(kFirstWindow, rule.max);
  }
  const auto factor = static_cast<nanoseconds::rep>(rule.grow == 0 ? 2 : rule.grow);
  return window > rule.max / factor ? rule.max : window * factor;
}

nanoseconds shrunk(nanoseconds window, const PollGrowShrink& rule) {
  return rule.shrink == 0 ? nanoseconds(0) : window / static_cast<nanoseconds::rep>(rule.shrink);
}

}  // namespace

absl::StatusOr<PollPolicy> parse_poll_policy(absl::string_view text) {
  if (text == "off") {
    return PollOff{};
  }
  absl::string_view number = text;
  const bool fixed = absl::ConsumePrefix(&number, "fixed:");
  const bool known = fixed || absl::ConsumePrefix(&number, "grow_shrink:");
  std::uint32_t max_us = 0;
  if (!known || !absl::SimpleAtoi(number, &max_us) || max_us == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown poll policy \"", text,
                     "\": use off, fixed:MAX or grow_shrink:MAX, with MAX in microseconds"));
  }
  const std::chrono::microseconds max(max_us);
  return fixed ? PollPolicy(PollFixed{.max = max}) : PollPolicy(PollGrowShrink{.max = max});
}

nanoseconds PollBudget::budget() const {
  if (const auto* fixed = std::get_if<PollFixed>(&policy_)) {
    return fixed->max;
  }
  return window_;
}

void PollBudget::waited(nanoseconds duration) {
  const auto* rule = std::get_if<PollGrowShrink>(&policy_);
  if (rule == nullptr || duration <= window_) {
    return;
  }
  if (duration > rule->max) {
    window_ = shrunk(window_, *rule);
  } else if (duration < rule->max && window_ < rule->max) {
    window_ = grown(window_, *rule);
  }
}

}  // namespace coaio
