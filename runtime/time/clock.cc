#include "runtime/time/clock.h"

#include <atomic>
#include <chrono>

#include "backends/check.h"
#include "backends/fd_monitor.h"

namespace coaio {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

class SteadyClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }

  nanoseconds until(TimePoint deadline) const override {
    if (deadline == TimePoint::max()) {
      return FdMonitor::kForever;
    }
    return saturating_until(deadline, now());
  }
};

}  // namespace

const Clock& Clock::steady() {
  static const SteadyClock& clock = *new SteadyClock;
  return clock;
}

TimePoint ManualClock::now() const {
  return TimePoint(nanoseconds(now_ns_.load(std::memory_order_relaxed)));
}

nanoseconds ManualClock::until(TimePoint deadline) const {
  return deadline <= now() ? nanoseconds(0) : FdMonitor::kForever;
}

void ManualClock::advance(nanoseconds by) { advance_to(saturating_add(now(), by)); }

void ManualClock::advance_to(TimePoint time) {
  check(time >= now(), "a manual clock is moved backwards");
  now_ns_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
}

TimePoint saturating_add(TimePoint time, nanoseconds by) {
  if (by.count() > 0 && time > TimePoint::max() - by) {
    return TimePoint::max();
  }
  if (by.count() < 0 && time < TimePoint::min() - by) {
    return TimePoint::min();
  }
  return time + by;
}

nanoseconds saturating_until(TimePoint deadline, TimePoint now) {
  if (deadline <= now) {
    // Not the difference, which wraps if the deadline is far in the past.
    return nanoseconds(0);
  }
  const bool fits = now >= TimePoint() || deadline <= now + nanoseconds::max();
  return fits ? deadline - now : nanoseconds::max();
}

}  // namespace coaio
