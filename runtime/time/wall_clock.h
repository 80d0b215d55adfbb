// WallClock: the time of day, and a notice when the clock is set.
//
// When the clock is set, the timeout of a sleep in progress becomes wrong. The notice is a timerfd
// with TFD_TIMER_CANCEL_ON_SET: when the clock is set, the kernel cancels the timer, the descriptor
// becomes readable, and the loop computes the timeout again.
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
