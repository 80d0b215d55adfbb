// LatePolling: for events that come at steady intervals, too far apart to be polled for: sleep
// first, wake a little before the next one is expected, and poll for that little.
//
// Mean and mean deviation of the intervals are kept as TCP keeps those of its round trips. What is
// irregular is left alone: the wider the scatter, the longer the poll, until a late wake is
// cheaper.
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
  // From the begin of the wait.
  struct Window {
    std::chrono::nanoseconds sleep{0};  // until then,
    std::chrono::nanoseconds end{0};    // and poll from there to here
  };

  // An event came so long after the begin of a wait.
  void arrived(std::chrono::nanoseconds after);

  // Nothing if polling so is not worth it, where a wake is late by `wake_cost` and `miss_cost` of
  // CPU time would be paid to have none.
  std::optional<Window> window(std::chrono::nanoseconds wake_cost,
                               std::chrono::nanoseconds miss_cost) const;

 private:
  std::int64_t mean_ns_ = 0;
  std::int64_t deviation_ns_ = 0;
  unsigned seen_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_LATE_POLLING_H_
