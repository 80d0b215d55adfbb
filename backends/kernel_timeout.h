// kernel_timeout: the timeout of a wait as a timespec, exact to the nanosecond. A timeout that is
// rounded down to milliseconds would end before the next timer is due, and the loop would spin for
// the rest.

#ifndef COAIO_BACKENDS_KERNEL_TIMEOUT_H_
#define COAIO_BACKENDS_KERNEL_TIMEOUT_H_

#include <algorithm>
#include <chrono>
#include <ctime>

namespace coaio::internal {

// A timeout in the past is zero.
constexpr timespec to_timespec(std::chrono::nanoseconds timeout) {
  constexpr std::chrono::nanoseconds::rep kSecond = 1'000'000'000;
  const auto count = std::max<std::chrono::nanoseconds::rep>(timeout.count(), 0);
  return {.tv_sec = static_cast<time_t>(count / kSecond),
          .tv_nsec = static_cast<long>(count % kSecond)};
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_KERNEL_TIMEOUT_H_
