// Round trips between two threads that never sleep, each on a CPU of its own.

#ifndef COAIO_BENCH_SHM_RPC_ROUND_TRIPS_H_
#define COAIO_BENCH_SHM_RPC_ROUND_TRIPS_H_

#include <chrono>
#include <functional>
#include <vector>

#include "backends/backend.h"
#include "runtime/context.h"

namespace coaio::bench {

inline constexpr int kRounds = 50'000;

// Each gives the nanoseconds of one round trip: the median over stretches of a hundred, so that
// what else runs on the machine now and then does not count.

// Two threads that spin on two atomics.
double atomic_round_trip();

// Two contexts, each with a poll source whose readiness is a number in memory.
double source_round_trip(Backend backend);

// Two contexts and the rings of examples/shm_rpc, served by coroutines; `watched`: each looks after
// the socket as well, as the example does.
double ring_round_trip(Backend backend, bool watched);

// --- for the measurements ----------------------------------------------------------------------

// Options of a context that does not sleep within the time of a measurement: its polling does not
// give way, even where the machine is crowded, since figures of a loop that sleeps now and then
// would say nothing about polling.
ContextOptions never_sleeping(Backend backend);

class Stopwatch {
 public:
  void round() {
    if (++rounds_ % kRoundsPerStretch == 0) {
      ends_.push_back(std::chrono::steady_clock::now());
    }
  }
  double nanoseconds_per_round() const;

 private:
  static constexpr int kRoundsPerStretch = 100;

  int rounds_ = 0;
  std::vector<std::chrono::steady_clock::time_point> ends_;
};

// Runs `serve` on one CPU and `ask`, which says when a round is over, on another.
double time_round_trips(const std::function<void(Stopwatch&)>& ask,
                        const std::function<void()>& serve);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_SHM_RPC_ROUND_TRIPS_H_
