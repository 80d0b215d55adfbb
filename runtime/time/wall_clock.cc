#include "runtime/time/wall_clock.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <limits>
#include <utility>

#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

constexpr time_t kFarAway = std::numeric_limits<time_t>::max() / 1'000'000'000;  // in the year 2262

class SystemWallClock final : public WallClock {
 public:
  TimePoint now() const override { return to_time_point(std::chrono::system_clock::now()); }

  nanoseconds until(TimePoint deadline) const override {
    if (deadline == TimePoint::max()) {
      return FdMonitor::kForever;
    }
    return saturating_until(deadline, now());
  }

  UniqueFd step_notice() const override {
    UniqueFd notice(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    return notice.valid() && renew(notice) ? std::move(notice) : UniqueFd();
  }

  // The timer itself never expires; it is only cancelled.
  bool renew(const UniqueFd& notice) const override {
    // The read fails with ECANCELED. Other results do not matter, because the timer is set again.
    std::uint64_t expirations = 0;
    [[maybe_unused]] const ssize_t ignored = read(notice.get(), &expirations, sizeof expirations);
    const itimerspec never{.it_interval = {}, .it_value = {.tv_sec = kFarAway, .tv_nsec = 0}};
    // ECANCELED: the clock was set between read() and here; the timer is armed all the same.
    return timerfd_settime(notice.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                           nullptr) == 0 ||
           errno == ECANCELED;
  }
};

}  // namespace

const WallClock& WallClock::system() {
  static const SystemWallClock& clock = *new SystemWallClock;
  return clock;
}

TimePoint to_time_point(WallTime time) { return TimePoint(saturate(time.time_since_epoch())); }

}  // namespace coaio
