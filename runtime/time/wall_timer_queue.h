// WallTimerQueue: timers by the time of day, which somebody may set.
//
// They have a queue of their own, so that a step of the clock changes nothing but what is due. The
// loop learns of a step by a descriptor: a sleep that was computed by the old time ends, and the
// next one is computed by the new.
//
// Threads: the home thread.
// Errors: without a descriptor a step is noticed at the end of the sleep in progress, and not
// before.

#ifndef COAIO_RUNTIME_TIME_WALL_TIMER_QUEUE_H_
#define COAIO_RUNTIME_TIME_WALL_TIMER_QUEUE_H_

#include <chrono>
#include <cstddef>

#include "backends/unique_fd.h"
#include "runtime/activity.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio {

class WallTimerQueue {
 public:
  explicit WallTimerQueue(const WallClock& clock) : clock_(clock) {}

  void arm(TimerNode& node, WallTime deadline) { queue_.arm(node, to_time_point(deadline)); }
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

  // The descriptor that becomes readable when the clock is set; made by the first call, and invalid
  // where the kernel refuses it. It is to be made ready for the next step each time, which may be
  // refused, and is to be given up then.
  const UniqueFd& notice();
  bool renew_notice() { return clock_.renew(notice_); }
  void give_up_notice() { notice_.reset(); }

 private:
  const WallClock& clock_;
  TimerQueue queue_;
  UniqueFd notice_;
  bool asked_ = false;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_WALL_TIMER_QUEUE_H_
