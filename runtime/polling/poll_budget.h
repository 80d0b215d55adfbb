// PollBudget: the state of a poll policy: for how long to look for work before the next wait.
//
// It has no clock: durations go in, durations come out.

#ifndef COAIO_RUNTIME_POLLING_POLL_BUDGET_H_
#define COAIO_RUNTIME_POLLING_POLL_BUDGET_H_

#include <chrono>
#include <optional>
#include <variant>

#include "runtime/polling/late_polling.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_histogram.h"
#include "runtime/polling/wake_cost.h"

namespace coaio {

// What came of one wait. The time of handlers is not in it.
struct WaitOutcome {
  std::chrono::nanoseconds slept{0};    // before the late polling, which is all that is polled then
  std::chrono::nanoseconds polled{0};   // in user space,
  std::chrono::nanoseconds blocked{0};  // and then in the kernel; zero if polling found the event
  bool by_event = true;                 // not by a timer of the loop, whose time was known
};

// The rule of PollGrowShrink.
class GrowShrinkState {
 public:
  explicit GrowShrinkState(const PollGrowShrink& rule) : rule_(rule) {}

  std::chrono::nanoseconds budget() const { return window_; }
  void waited(std::chrono::nanoseconds duration);

 private:
  void grow();

  PollGrowShrink rule_;
  std::chrono::nanoseconds window_{0};
};

// The rules of PollLearned.
class LearnedState {
 public:
  explicit LearnedState(const PollLearned& policy);

  std::chrono::nanoseconds budget() const { return budget_.budget(); }
  std::chrono::nanoseconds timer_tail(std::chrono::nanoseconds rest) const;
  std::optional<LatePolling::Window> late_window() const;
  void waited(const WaitOutcome& wait);
  void woke_late(std::chrono::nanoseconds sleep, std::chrono::nanoseconds late);

 private:
  bool follows_;  // the cost of a wake, which the user did not give
  WakeCost wake_cost_;
  WaitHistogram budget_;
  std::optional<LatePolling> late_;
};

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

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLLING_POLL_BUDGET_H_
