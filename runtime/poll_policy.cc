#include "runtime/poll_policy.h"

#include <algorithm>
#include <chrono>
#include <variant>

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
