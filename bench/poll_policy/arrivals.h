// Arrivals: for how long the partner thinks before its next request.
//
//   absl::StatusOr<Arrivals> arrivals = parse_arrivals("exponential:20");
//
// Seeded: every policy meets the same.

#ifndef COAIO_BENCH_POLL_POLICY_ARRIVALS_H_
#define COAIO_BENCH_POLL_POLICY_ARRIVALS_H_

#include <chrono>
#include <functional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio::bench {

// By the time since the run began.
using Arrivals = std::function<std::chrono::nanoseconds(std::chrono::nanoseconds since_begin)>;

// "fixed:US", "exponential:MEAN_US", "bursts" (8 x 3 µs, then 1 ms), "bimodal" (0.7 x 5 µs, 0.3 x
// 300 µs), "phases:MS" (so long 5 µs, then so long 500 µs). Anything else is kInvalidArgument.
absl::StatusOr<Arrivals> parse_arrivals(absl::string_view text);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_POLL_POLICY_ARRIVALS_H_
