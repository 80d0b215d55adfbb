// wake_cost: by how much a sleeping thread of this machine handles its event late.
//
// It is a few microseconds on bare metal, and 15 to 70 on a virtual machine, whose idle processor
// halts. It grows with the length of the sleep. PollLearned weighs it against the CPU time of
// polling.

#ifndef COAIO_RUNTIME_POLLING_WAKE_COST_H_
#define COAIO_RUNTIME_POLLING_WAKE_COST_H_

#include <array>
#include <chrono>
#include <cstddef>

namespace coaio::internal {

// The median lateness of 32 sleeps of 50 µs on a timerfd, or 30 µs where timerfds are refused. The
// first call in a process measures it, and blocks the thread for about 2.5 ms.
std::chrono::nanoseconds wake_cost();

// `measured`, but at least 1 and at most 100 µs.
std::chrono::nanoseconds clamp_wake_cost(std::chrono::nanoseconds measured);

// WakeCost: the same, followed from the lateness of the sleeps that the loop's own timers end.
//
// It follows the median in steps of a sixteenth, and stays between a quarter and four times of the
// first value. A sample beyond four times the present value is ignored, because something else than
// the wake made the timer late. Short and long sleeps have values of their own.
class WakeCost {
 public:
  explicit WakeCost(std::chrono::nanoseconds measured) : measured_(measured) {
    medians_.fill(measured);
  }

  // For sleeps as short as a poll that would replace them.
  std::chrono::nanoseconds of_short_sleeps() const { return medians_[0]; }

  std::chrono::nanoseconds after(std::chrono::nanoseconds sleep) const {
    return medians_[class_of(sleep)];
  }

  // A sleep that no event ended was this late.
  void woke_late(std::chrono::nanoseconds sleep, std::chrono::nanoseconds late);

 private:
  static std::size_t class_of(std::chrono::nanoseconds sleep);

  std::chrono::nanoseconds measured_;
  std::array<std::chrono::nanoseconds, 3> medians_{};
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_WAKE_COST_H_
