// WallClock: the time of day, and the news that somebody has set it.
//
// A clock that is set makes a sleep wrong that was computed by the old time. The kernel tells: it
// cancels timerfds that ask for it.
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
  // A descriptor that becomes readable when the clock is set. Invalid where that is not told.
  virtual UniqueFd step_notice() const = 0;

  // Makes it ready for the next step. False if it will not be told.
  virtual bool renew(const UniqueFd& notice) const = 0;

  // CLOCK_REALTIME.
  static const WallClock& system();
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_WALL_CLOCK_H_
