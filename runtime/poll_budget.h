// PollBudget: the state of a poll policy: for how long to look for work before the next wait.
//
// It has no clock: durations go in, durations come out.

#ifndef COAIO_RUNTIME_POLL_BUDGET_H_
#define COAIO_RUNTIME_POLL_BUDGET_H_

#include <chrono>
#include <variant>

#include "runtime/learned_budget.h"
#include "runtime/poll_policy.h"

namespace coaio {

// What came of one wait. The time of handlers is not in it.
struct FinishedWait {
  std::chrono::nanoseconds polled{0};   // in user space,
  std::chrono::nanoseconds blocked{0};  // and then in the kernel; zero if polling found the event
  bool by_event = true;                 // not by a timer of the loop, whose time was known
};

// The rule of PollGrowShrink.
class GrowShrinkBudget {
 public:
  explicit GrowShrinkBudget(const PollGrowShrink& rule) : rule_(rule) {}

  std::chrono::nanoseconds budget() const { return window_; }
  void waited(std::chrono::nanoseconds duration);

 private:
  void grow();

  PollGrowShrink rule_;
  std::chrono::nanoseconds window_{0};
};

class PollBudget {
 public:
  explicit PollBudget(const PollPolicy& policy = PollOff{});

  // Zero: block at once.
  std::chrono::nanoseconds budget() const;

  // By how much the loop polls before its own timers instead of sleeping, and being late.
  std::chrono::nanoseconds timer_tail() const;

  void waited(const FinishedWait& wait);

  // Whether waited() matters: a policy without memory spares the loop two clock readings.
  bool learns() const {
    return std::holds_alternative<GrowShrinkBudget>(state_) ||
           std::holds_alternative<LearnedBudget>(state_);
  }

 private:
  std::variant<PollOff, PollFixed, GrowShrinkBudget, LearnedBudget> state_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLL_BUDGET_H_
