#include "runtime/time/wall_timer_queue.h"

#include <chrono>
#include <utility>

#include "backends/fd_monitor.h"
#include "runtime/fd_table.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio::internal {

void WallTimerQueue::arm(TimerNode& node, WallTime deadline) {
  if (!std::exchange(watches_steps_, true)) {
    watch_steps();
  }
  queue_.arm(node, to_time_point(deadline));
}

std::chrono::nanoseconds WallTimerQueue::time_to_next() const {
  const TimePoint deadline = queue_.next_deadline();
  return deadline == TimePoint::max() ? FdMonitor::kForever : clock_.until(deadline);
}

// The wake-up is all that the timers need: the loop computes its next sleep anew.
void WallTimerQueue::watch_steps() {
  step_notice_ = clock_.step_notice();
  if (step_notice_.valid()) {
    fds_.set_handlers(step_notice_.get(), {.read = [this] { clock_was_set(); }, .write = nullptr});
  }
}

void WallTimerQueue::clock_was_set() {
  if (!clock_.renew(step_notice_)) {
    fds_.set_handlers(step_notice_.get(), {});
    fds_.settle();
    step_notice_.reset();
  }
}

}  // namespace coaio::internal
