// Duration: a parameter type in nanoseconds to which any std::chrono duration converts. The
// conversion saturates where that of std::chrono would wrap.
//
//   void arm_after(Duration delay);
//   arm_after(std::chrono::hours::max());   // for ever: std::chrono would wrap to a negative
//   arm_after(0.5s);                        // floating point too
//
// A duration that does not fit into nanoseconds (292 years) becomes nanoseconds::max(), which means
// for ever, or nanoseconds::min() if it is negative. A whole number
// of a unit shorter than 1 ns is rounded up. A floating-point count is rounded to the nearest
// nanosecond.
//
// Errors: NaN ends the process.

#ifndef COAIO_RUNTIME_TIME_DURATION_H_
#define COAIO_RUNTIME_TIME_DURATION_H_

#include <chrono>
#include <concepts>
#include <ratio>
#include <type_traits>
#include <utility>

#include "backends/check.h"

namespace coaio {

template <typename Rep, typename Period>
  requires std::is_arithmetic_v<Rep>
constexpr std::chrono::nanoseconds saturate(std::chrono::duration<Rep, Period> duration) {
  using std::chrono::nanoseconds;
  using PerNano = std::ratio_divide<Period, std::nano>;
  if constexpr (std::floating_point<Rep> || (PerNano::num != 1 && PerNano::den != 1)) {
    using Wide = std::chrono::duration<long double, std::nano>;
    const Wide wide(duration);
    internal::check(wide.count() == wide.count(), "a duration is not a number");
    if (wide >= Wide(nanoseconds::max())) {
      return nanoseconds::max();
    }
    if (wide <= Wide(nanoseconds::min())) {
      return nanoseconds::min();
    }
    return std::chrono::floor<nanoseconds>(wide + Wide(0.5L));
  } else {
    // A unit that is not longer than a nanosecond cannot overflow, unless it counts unsigned.
    using Unit = std::chrono::duration<nanoseconds::rep, Period>;
    using Limit = std::conditional_t<std::ratio_less_equal_v<Period, std::nano>, nanoseconds, Unit>;
    if (std::cmp_greater(duration.count(),
                         std::chrono::duration_cast<Limit>(nanoseconds::max()).count())) {
      return nanoseconds::max();
    }
    if (std::cmp_less(duration.count(),
                      std::chrono::duration_cast<Limit>(nanoseconds::min()).count())) {
      return nanoseconds::min();
    }
    return std::chrono::ceil<nanoseconds>(Unit(static_cast<nanoseconds::rep>(duration.count())));
  }
}

template <typename Clock, typename D>
constexpr std::chrono::time_point<Clock> saturate(std::chrono::time_point<Clock, D> time) {
  using Result = std::chrono::time_point<Clock>;
  return Result(
      std::chrono::duration_cast<typename Result::duration>(saturate(time.time_since_epoch())));
}

// For parameters, and for members of options.
class Duration : public std::chrono::nanoseconds {
 public:
  constexpr Duration() : std::chrono::nanoseconds(0) {}
  template <typename Rep, typename Period>
  constexpr Duration(std::chrono::duration<Rep, Period> any)
      : std::chrono::nanoseconds(saturate(any)) {}
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_DURATION_H_
