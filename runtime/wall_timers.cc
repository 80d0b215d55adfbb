#include "runtime/wall_timers.h"

#include <chrono>
#include <utility>

#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "runtime/clock.h"

namespace coaio {

std::chrono::nanoseconds WallTimers::time_to_next() const {
  const TimePoint deadline = queue_.next_deadline();
  return deadline == TimePoint::max() ? FdMonitor::kForever : clock_.until(deadline);
}

const UniqueFd& WallTimers::notice() {
  if (!std::exchange(asked_, true)) {
    notice_ = clock_.step_notice();
  }
  return notice_;
}

}  // namespace coaio
