// LatePolling: when to poll for events at steady intervals that are too long to poll for. The loop
// sleeps first, wakes a little before the next event is expected, and polls for the rest.
//
// The mean and the mean deviation of the intervals are kept as TCP keeps those of its round trips.
// The wider the scatter, the longer the poll. When a late wake is cheaper than the poll, as with
// irregular events, there is no window.
//
// Integers only, no allocation, no clock.

#ifndef COAIO_RUNTIME_POLLING_LATE_POLLING_H_
#define COAIO_RUNTIME_POLLING_LATE_POLLING_H_

#include <chrono>
#include <cstdint>
#include <optional>

namespace coaio::internal {

class LatePolling {
 public:
  // Both times count from the begin of the wait.
  struct Window {
    std::chrono::nanoseconds sleep{0};  // when the sleep ends and the poll begins
    std::chrono::nanoseconds end{0};    // when the poll ends
  };

  // An event came this long after the begin of a wait.
  void arrived(std::chrono::nanoseconds after);

  // std::nullopt if the poll is not worth its CPU time. `wake_cost`: by how much a wake is late;
  // `miss_cost`: the CPU time that avoiding one late wake is worth.
  std::optional<Window> window(std::chrono::nanoseconds wake_cost,
                               std::chrono::nanoseconds miss_cost) const;

 private:
  std::int64_t mean_ns_ = 0;
  std::int64_t deviation_ns_ = 0;
  unsigned seen_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_LATE_POLLING_H_
