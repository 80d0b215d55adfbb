// WallTimerQueue: timers by the time of day, which may be set.
//
// They have a queue of their own, so that a step of the clock changes only which timers are due. A
// file descriptor becomes readable at a step. A sleep that was computed by the old time then ends,
// and the next sleep is computed by the new time.
//
// Threads: the home thread.
// Lifetime: the clock and the fd table outlive the queue.
// Errors: without a file descriptor the loop notices a step only at the end of the sleep in
//   progress.

#ifndef COAIO_RUNTIME_TIME_WALL_TIMER_QUEUE_H_
#define COAIO_RUNTIME_TIME_WALL_TIMER_QUEUE_H_

#include <chrono>
#include <cstddef>

#include "backends/unique_fd.h"
#include "runtime/activity.h"
#include "runtime/fd_table.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio::internal {

class WallTimerQueue {
 public:
  WallTimerQueue(const WallClock& clock, FdTable& fds) : clock_(clock), fds_(fds) {}

  void arm(TimerNode& node, WallTime deadline);
  bool cancel(TimerNode& node) { return queue_.cancel(node); }
  std::size_t size() const { return queue_.size(); }
  template <typename Visit>
  void for_each(Visit visit) const {
    queue_.for_each(visit);
  }

  // How long a wait may sleep; FdMonitor::kForever if nothing is armed.
  std::chrono::nanoseconds time_to_next() const;

  // Whether any timer was due.
  bool fire_due(Activity* activity) {
    return queue_.size() != 0 && queue_.fire_due(clock_.now(), activity) != 0;
  }

 private:
  void watch_steps();
  void clock_was_set();

  const WallClock& clock_;
  FdTable& fds_;
  TimerQueue queue_;
  UniqueFd step_notice_;  // becomes readable when the clock is set
  bool watches_steps_ = false;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_TIME_WALL_TIMER_QUEUE_H_
