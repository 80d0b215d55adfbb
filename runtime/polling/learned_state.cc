#include "runtime/polling/learned_state.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "runtime/polling/late_polling.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_outcome.h"
#include "runtime/polling/wake_cost.h"

namespace coaio::internal {

using std::chrono::nanoseconds;

namespace {

// A higher wake cost changes nothing, because no budget is that long.
constexpr nanoseconds kMostWakeCost = std::chrono::seconds(1);

}  // namespace

LearnedState::LearnedState(const PollLearned& policy)
    : measures_wake_cost_(policy.wake_cost == nanoseconds(0)),
      wake_cost_(measures_wake_cost_ ? wake_cost() : std::min(policy.wake_cost, kMostWakeCost)),
      histogram_(policy.latency_weight, wake_cost_.of_short_sleeps()) {
  if (policy.late) {
    late_.emplace();
  }
}

// One and a half wake costs: the wake cost is a median, so half of the sleeps end later.
nanoseconds LearnedState::timer_tail(nanoseconds rest) const {
  return wake_cost_.after(rest) * 3 / 2;
}

std::optional<LatePolling::Window> LearnedState::late_window() const {
  return late_.has_value() ? late_->window(histogram_.wake_cost(), histogram_.miss_cost())
                           : std::nullopt;
}

void LearnedState::waited(const WaitOutcome& wait) {
  const nanoseconds whole = wait.slept + wait.polled + wait.blocked;
  if (!wait.by_event) {
    histogram_.silent(wait.polled, whole);
    return;
  }
  // The wake is no part of the wait, and cannot have taken longer than the sleep.
  const nanoseconds wake =
      wait.woken ? std::min(wait.blocked, histogram_.wake_cost()) : nanoseconds(0);
  const nanoseconds arrival = whole - wake;
  if (late_.has_value()) {
    late_->arrived(arrival);
  }
  if (wait.slept != nanoseconds(0)) {
    histogram_.missed(nanoseconds(0), arrival);
  } else if (wait.blocked == nanoseconds(0)) {
    histogram_.hit(arrival);
  } else {
    histogram_.missed(wait.polled, arrival);
  }
}

void LearnedState::woke_late(nanoseconds sleep, nanoseconds late) {
  if (measures_wake_cost_) {
    wake_cost_.woke_late(sleep, late);
    histogram_.set_wake_cost(wake_cost_.of_short_sleeps());
  }
}

}  // namespace coaio::internal
