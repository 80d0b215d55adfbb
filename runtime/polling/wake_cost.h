// wake_cost: by how much a sleeping thread of this machine is late to its own event.
//
// On bare metal a few microseconds; on a virtual machine, whose idle processor halts, 15 to 70, and
// the more the longer it slept. The learned poll budget weighs it against the CPU time of polling.

#ifndef COAIO_RUNTIME_POLLING_WAKE_COST_H_
#define COAIO_RUNTIME_POLLING_WAKE_COST_H_

#include <array>
#include <chrono>
#include <cstddef>

namespace coaio::internal {

// Measured when it is first asked for in this process, which blocks the thread for about 2.5 ms:
// the median lateness of 32 sleeps of 50 µs on a timerfd. 30 µs where that is refused.
std::chrono::nanoseconds wake_cost();

// What a measurement is taken for: from 1 to 100 µs.
std::chrono::nanoseconds clamp_wake_cost(std::chrono::nanoseconds measured);

// WakeCost: the same, followed from the lateness of the sleeps that the loop's own timers end.
//
// It follows the median in steps of a sixteenth, does not believe in more than four times what it
// holds, and never leaves a quarter to four times of what it began with: what makes timers later
// than that is not the wake. Short and long sleeps are followed apart.
class WakeCost {
 public:
  explicit WakeCost(std::chrono::nanoseconds measured) : measured_(measured) {
    medians_.fill(measured);
  }

  // Sleeps as short as a poll that would replace them.
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
