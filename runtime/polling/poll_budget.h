// PollBudget: the state of a poll policy: for how long to look for work before the next wait.
//
// It has no clock: durations go in, durations come out.

#ifndef COAIO_RUNTIME_POLLING_POLL_BUDGET_H_
#define COAIO_RUNTIME_POLLING_POLL_BUDGET_H_

#include <chrono>
#include <optional>
#include <variant>

#include "runtime/polling/grow_shrink_state.h"
#include "runtime/polling/late_polling.h"
#include "runtime/polling/learned_state.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_outcome.h"

namespace coaio::internal {

class PollBudget {
 public:
  explicit PollBudget(const PollPolicy& policy = PollOff{});

  // Zero: block at once.
  std::chrono::nanoseconds budget() const;

  // By how much the loop polls before its own timer instead of sleeping, and being late, if the
  // timer is so far away.
  std::chrono::nanoseconds timer_tail(std::chrono::nanoseconds rest) const;

  // When to poll instead, if the budget is zero.
  std::optional<LatePolling::Window> late_window() const;

  // Longer budgets would not be granted. Policies that choose their budget choose among shorter
  // ones; the others keep what the user said.
  void set_longest(std::chrono::nanoseconds longest);

  void waited(const WaitOutcome& wait);

  // A sleep that nothing but a timer was to end took so much longer.
  void woke_late(std::chrono::nanoseconds sleep, std::chrono::nanoseconds late);

  // Whether waited() matters: a policy without memory spares the loop two clock readings.
  bool learns() const {
    return std::holds_alternative<GrowShrinkState>(state_) ||
           std::holds_alternative<LearnedState>(state_);
  }

 private:
  std::variant<PollOff, PollFixed, GrowShrinkState, LearnedState> state_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_BUDGET_H_
