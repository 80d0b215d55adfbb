#include "runtime/poll_budget.h"

#include <algorithm>
#include <chrono>
#include <variant>

#include "runtime/learned_budget.h"
#include "runtime/poll_policy.h"
#include "runtime/wake_cost.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kFirstWindow = std::chrono::microseconds(4);

using State = std::variant<PollOff, PollFixed, GrowShrinkBudget, LearnedBudget>;

State state_of(const PollPolicy& policy) {
  if (const auto* fixed = std::get_if<PollFixed>(&policy)) {
    return *fixed;
  }
  if (const auto* rule = std::get_if<PollGrowShrink>(&policy)) {
    return GrowShrinkBudget(*rule);
  }
  if (const auto* learned = std::get_if<PollLearned>(&policy)) {
    return LearnedBudget(learned->latency_weight,
                         learned->wake_cost == nanoseconds(0) ? wake_cost() : learned->wake_cost);
  }
  return PollOff{};
}

}  // namespace

// --- grow and shrink ----------------------------------------------------------------------------

void GrowShrinkBudget::waited(nanoseconds duration) {
  if (duration <= window_) {
    return;
  }
  if (duration > rule_.max) {
    window_ = rule_.shrink == 0 ? nanoseconds(0) : window_ / rule_.shrink;
  } else if (duration < rule_.max && window_ < rule_.max) {
    grow();
  }
}

void GrowShrinkBudget::grow() {
  if (window_ == nanoseconds(0)) {
    window_ = std::min(kFirstWindow, rule_.max);
    return;
  }
  const auto factor = static_cast<nanoseconds::rep>(rule_.grow == 0 ? 2 : rule_.grow);
  window_ = window_ > rule_.max / factor ? rule_.max : window_ * factor;
}

// --- any policy ---------------------------------------------------------------------------------

PollBudget::PollBudget(const PollPolicy& policy) : state_(state_of(policy)) {}

nanoseconds PollBudget::budget() const {
  switch (state_.index()) {
    case 1:
      return std::get<PollFixed>(state_).max;
    case 2:
      return std::get<GrowShrinkBudget>(state_).budget();
    case 3:
      return std::get<LearnedBudget>(state_).budget();
    default:
      return nanoseconds(0);
  }
}

// One and a half wakes, for half of the sleepers wake later than the median.
nanoseconds PollBudget::timer_tail() const {
  const auto* learned = std::get_if<LearnedBudget>(&state_);
  return learned == nullptr ? nanoseconds(0) : learned->wake_cost() * 3 / 2;
}

void PollBudget::waited(const FinishedWait& wait) {
  if (auto* grow_shrink = std::get_if<GrowShrinkBudget>(&state_)) {
    grow_shrink->waited(wait.polled + wait.blocked);
  } else if (auto* learned = std::get_if<LearnedBudget>(&state_);
             learned != nullptr && wait.by_event) {
    if (wait.blocked == nanoseconds(0)) {
      learned->hit(wait.polled);
    } else {
      learned->missed(wait.polled, wait.blocked);
    }
  }
}

}  // namespace coaio
