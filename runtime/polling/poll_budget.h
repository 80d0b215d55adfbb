// PollBudget: the state of a poll policy, which says for how long to poll before the next sleep.
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

  // Zero: sleep at once.
  std::chrono::nanoseconds budget() const;

  // For how long the loop polls before its own timer, which a sleep would make late. `rest`: the
  // time to the timer.
  std::chrono::nanoseconds timer_tail(std::chrono::nanoseconds rest) const;

  // When to poll later in the wait, if the budget is zero.
  std::optional<LatePolling::Window> late_window() const;

  // The longest budget that is granted. PollLearned chooses among shorter ones. The budgets of the
  // other policies are cut when they are used (AdaptiveWait).
  void set_longest(std::chrono::nanoseconds longest);

  void waited(const WaitOutcome& wait);

  // A sleep that a timer ended was longer than `sleep` by `late`.
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
