#include "runtime/time/wall_timer_queue.h"

#include <chrono>
#include <utility>

#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "runtime/time/clock.h"

namespace coaio {

std::chrono::nanoseconds WallTimerQueue::time_to_next() const {
  const TimePoint deadline = queue_.next_deadline();
  return deadline == TimePoint::max() ? FdMonitor::kForever : clock_.until(deadline);
}

const UniqueFd& WallTimerQueue::notice() {
  if (!std::exchange(asked_, true)) {
    notice_ = clock_.step_notice();
  }
  return notice_;
}

}  // namespace coaio
