// Now, in nanoseconds of a clock that no clock change moves.

#ifndef COAIO_BENCH_ECHO_STEADY_CLOCK_H_
#define COAIO_BENCH_ECHO_STEADY_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace coaio::bench {

inline std::int64_t steady_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_STEADY_CLOCK_H_
