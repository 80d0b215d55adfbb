// replay: what a poll policy would have cost on a trace.
//
// An event that comes while the loop polls costs the time polled so far; one that comes later costs
// what was polled in vain and the lateness of a wake from sleep, weighted with what latency is
// worth. The lateness follows measurements on a virtual machine: it grows with the time asleep,
// scatters, and has a tail; the policies believe that it is 30 µs.

#ifndef COAIO_BENCH_POLL_POLICY_REPLAY_H_
#define COAIO_BENCH_POLL_POLICY_REPLAY_H_

#include <chrono>
#include <cstdint>

#include "bench/poll_policy/traces.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {

inline constexpr std::chrono::nanoseconds kBelievedWakeCost = std::chrono::microseconds(30);

struct Cost {
  double polled_ns = 0;
  double late_ns = 0;
  double elapsed_ns = 0;
  std::uint64_t waits = 0;

  double total(double latency_weight) const { return polled_ns + latency_weight * late_ns; }
};

// `share`: of a CPU, that polling may take.
Cost replay(const Trace& trace, const PollPolicy& policy, double share = 1.0);

// The best that could have been done for each wait, knowing when its event comes, short of sleeping
// until right before it.
Cost replay_in_hindsight(const Trace& trace, double latency_weight);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_POLL_POLICY_REPLAY_H_
