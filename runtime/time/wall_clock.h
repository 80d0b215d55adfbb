// WallClock: the time of day, and a notice when the clock is set.
//
// A sleep that was computed by the old time is wrong when the clock has been set. The kernel then
// cancels each timerfd that was armed with TFD_TIMER_CANCEL_ON_SET.
//
// Threads: any, like Clock.

#ifndef COAIO_RUNTIME_TIME_WALL_CLOCK_H_
#define COAIO_RUNTIME_TIME_WALL_CLOCK_H_

#include <chrono>

#include "backends/unique_fd.h"
#include "runtime/time/clock.h"

namespace coaio {

using WallTime = std::chrono::system_clock::time_point;

// A time of day as a point of a WallClock, whose points count from 1970.
TimePoint to_time_point(WallTime time);

class WallClock : public Clock {
 public:
  // A file descriptor that becomes readable when the clock is set. Invalid if there is none.
  virtual UniqueFd step_notice() const = 0;

  // Arms the descriptor for the next step of the clock. False if that fails.
  virtual bool renew(const UniqueFd& notice) const = 0;

  // CLOCK_REALTIME.
  static const WallClock& system();
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_WALL_CLOCK_H_
