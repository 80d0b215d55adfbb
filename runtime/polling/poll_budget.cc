#include "runtime/polling/poll_budget.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <variant>

#include "runtime/polling/late_polling.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_histogram.h"
#include "runtime/polling/wake_cost.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kFirstWindow = std::chrono::microseconds(4);

using State = std::variant<PollOff, PollFixed, GrowShrinkState, LearnedState>;

State state_of(const PollPolicy& policy) {
  if (const auto* fixed = std::get_if<PollFixed>(&policy)) {
    return *fixed;
  }
  if (const auto* rule = std::get_if<PollGrowShrink>(&policy)) {
    return GrowShrinkState(*rule);
  }
  if (const auto* learned = std::get_if<PollLearned>(&policy)) {
    return LearnedState(*learned);
  }
  return PollOff{};
}

}  // namespace

// --- grow and shrink ----------------------------------------------------------------------------

void GrowShrinkState::waited(nanoseconds duration) {
  if (duration <= window_) {
    return;
  }
  if (duration > rule_.max) {
    window_ = rule_.shrink == 0 ? nanoseconds(0) : window_ / rule_.shrink;
  } else if (duration < rule_.max && window_ < rule_.max) {
    grow();
  }
}

void GrowShrinkState::grow() {
  if (window_ == nanoseconds(0)) {
    window_ = std::min(kFirstWindow, rule_.max);
    return;
  }
  const auto factor = static_cast<nanoseconds::rep>(rule_.grow == 0 ? 2 : rule_.grow);
  window_ = window_ > rule_.max / factor ? rule_.max : window_ * factor;
}

// --- learned ------------------------------------------------------------------------------------

LearnedState::LearnedState(const PollLearned& policy)
    : follows_(policy.wake_cost == nanoseconds(0)),
      wake_cost_(follows_ ? wake_cost() : policy.wake_cost),
      budget_(policy.latency_weight, wake_cost_.of_short_sleeps()) {
  if (policy.late) {
    late_.emplace();
  }
}

// One and a half wakes, for half of the sleepers wake later than the median.
nanoseconds LearnedState::timer_tail(nanoseconds rest) const {
  return wake_cost_.after(rest) * 3 / 2;
}

std::optional<LatePolling::Window> LearnedState::late_window() const {
  return late_.has_value() ? late_->window(budget_.wake_cost(), budget_.miss_cost()) : std::nullopt;
}

void LearnedState::waited(const WaitOutcome& wait) {
  const nanoseconds whole = wait.slept + wait.polled + wait.blocked;
  if (!wait.by_event) {
    budget_.silent(wait.polled, whole);
    return;
  }
  // The wake is not part of the wait; nor was it dearer than the whole of it.
  const nanoseconds arrival = whole - std::min(wait.blocked, budget_.wake_cost());
  if (late_.has_value()) {
    late_->arrived(arrival);
  }
  if (wait.slept != nanoseconds(0)) {
    budget_.missed(nanoseconds(0), arrival);
  } else if (wait.blocked == nanoseconds(0)) {
    budget_.hit(arrival);
  } else {
    budget_.missed(wait.polled, arrival);
  }
}

void LearnedState::woke_late(nanoseconds sleep, nanoseconds late) {
  if (follows_) {
    wake_cost_.woke_late(sleep, late);
    budget_.set_wake_cost(wake_cost_.of_short_sleeps());
  }
}

// --- any policy ---------------------------------------------------------------------------------

PollBudget::PollBudget(const PollPolicy& policy) : state_(state_of(policy)) {}

nanoseconds PollBudget::budget() const {
  switch (state_.index()) {
    case 1:
      return std::get<PollFixed>(state_).max;
    case 2:
      return std::get<GrowShrinkState>(state_).budget();
    case 3:
      return std::get<LearnedState>(state_).budget();
    default:
      return nanoseconds(0);
  }
}

nanoseconds PollBudget::timer_tail(nanoseconds rest) const {
  const auto* learned = std::get_if<LearnedState>(&state_);
  return learned == nullptr ? nanoseconds(0) : learned->timer_tail(rest);
}

std::optional<LatePolling::Window> PollBudget::late_window() const {
  const auto* learned = std::get_if<LearnedState>(&state_);
  return learned == nullptr ? std::nullopt : learned->late_window();
}

void PollBudget::waited(const WaitOutcome& wait) {
  if (auto* grow_shrink = std::get_if<GrowShrinkState>(&state_)) {
    grow_shrink->waited(wait.polled + wait.blocked);
  } else if (auto* learned = std::get_if<LearnedState>(&state_)) {
    learned->waited(wait);
  }
}

void PollBudget::woke_late(nanoseconds sleep, nanoseconds late) {
  if (auto* learned = std::get_if<LearnedState>(&state_)) {
    learned->woke_late(sleep, late);
  }
}

}  // namespace coaio
