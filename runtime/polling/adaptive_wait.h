// AdaptiveWait: how a turn of the loop waits. It polls in user space for as long as the poll budget
// says, and then sleeps in the kernel.
//
// The wait knows the loop by four calls (AdaptiveWait::Loop), so that a test can put a fake in the
// place of the kernel. It owns the poll budget and the guard; the poll sources keep budgets of
// their own, which it reads from their list.
//
// Threads: the home thread.
// Lifetime: everything that the constructor takes outlives the object.

#ifndef COAIO_RUNTIME_POLLING_ADAPTIVE_WAIT_H_
#define COAIO_RUNTIME_POLLING_ADAPTIVE_WAIT_H_

#include <chrono>
#include <cstdint>

#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_guard.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/poll_record.h"
#include "runtime/polling/poll_stats.h"
#include "runtime/polling/wait_outcome.h"
#include "runtime/source_list.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio::internal {

class AdaptiveWait {
 public:
  class Loop {
   public:
    struct Probe {
      bool found;         // has_work() is true now
      bool asked_kernel;  // the probe made a system call
    };

    // Asks once whether there is work, without sleeping.
    virtual Probe probe() = 0;

    // Sleeps in the kernel until an event comes or `limit` has passed. FdMonitor::kForever means
    // that there is no limit. The call may return early, and without work.
    virtual void sleep(std::chrono::nanoseconds limit) = 0;

    // Whether the rest of the turn has something to do besides its timers.
    virtual bool has_work() const = 0;

    // The time to the next timer, zero if there is work, FdMonitor::kForever if there is neither.
    virtual std::chrono::nanoseconds time_to_next() const = 0;

   protected:
    ~Loop() = default;
  };

  struct Options {
    PollPolicy policy = PollOff{};
    double share = 1.0;
    PollEnvironment environment = PollEnvironment::ignored();

    // False if the timer slack lets sleeps end late: their lateness then says nothing about the
    // cost of a wake.
    bool precise_sleeps = true;

    // Measures the polling.
    const Clock* clock = &Clock::steady();
  };

  AdaptiveWait(Loop& loop, SourceList& sources, PollStats& stats, Trace& trace,
               const Options& options);

  void set_policy(const PollPolicy& policy);
  void set_share(double share);

  // Returns when there is work, or when `limit` has passed. `until_timer` says that the limit is
  // the time to a timer of the loop, which should not be late.
  void wait(std::chrono::nanoseconds limit, bool until_timer);

 private:
  // The poll before a timer.
  struct LastPoll {
    PollRecord poll;
    bool found = false;
  };

  std::chrono::nanoseconds budget() const;
  bool finds_work_at_once();
  PollRecord poll_for(std::chrono::nanoseconds budget, TimePoint start);
  PollRecord poll_late(std::chrono::nanoseconds limit, TimePoint start, WaitOutcome& wait);
  LastPoll sleep_until_work(std::chrono::nanoseconds tail);
  void sleep_before_tail(std::chrono::nanoseconds rest, std::chrono::nanoseconds tail);
  void learn(const WaitOutcome& wait);
  void tell(TraceEvent::Kind kind, std::chrono::nanoseconds duration) {
    if (trace_ != nullptr) [[unlikely]] {
      trace_({.kind = kind, .duration = duration});
    }
  }

  Loop& loop_;
  SourceList& sources_;
  PollStats& stats_;
  Trace& trace_;
  const Clock& clock_;
  const bool precise_sleeps_;
  PollBudget budget_;
  PollGuard guard_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_ADAPTIVE_WAIT_H_
