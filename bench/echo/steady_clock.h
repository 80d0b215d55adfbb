// Now, in nanoseconds of a clock that no clock change moves.
#pragma once

#include <chrono>
#include <cstdint>

namespace coaio::bench {

inline int64_t steady_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace coaio::bench
