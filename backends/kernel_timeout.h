// kernel_timeout: a wait's timeout in the unit that a system call counts in.
//
// Always rounded up: a wait that ends early finds nothing due, and the loop would spin on what is left
// of the interval. What the unit cannot hold saturates.

#ifndef COAIO_BACKENDS_KERNEL_TIMEOUT_H_
#define COAIO_BACKENDS_KERNEL_TIMEOUT_H_

#include <algorithm>
#include <chrono>
#include <climits>
#include <ctime>

namespace coaio {

constexpr timespec to_timespec(std::chrono::nanoseconds timeout) {
  constexpr std::chrono::nanoseconds::rep kSecond = 1'000'000'000;
  const auto count = std::max<std::chrono::nanoseconds::rep>(timeout.count(), 0);
  return {.tv_sec = static_cast<time_t>(count / kSecond),
          .tv_nsec = static_cast<long>(count % kSecond)};
}

constexpr int to_milliseconds(std::chrono::nanoseconds timeout) {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(count, 0, INT_MAX));
}

}  // namespace coaio

#endif  // COAIO_BACKENDS_KERNEL_TIMEOUT_H_
