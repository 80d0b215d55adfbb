// Round trips through memory between two loops that poll, beside two threads that spin on two
// atomics.
//
//   bazel run -c opt //bench/shm_rpc:shm_rpc_bench
//
// In nanoseconds: medians with minimum and maximum, and the median ratio to the atomics with its
// 95 % bootstrap interval, over interleaved pairs. Wants two CPUs that nobody else uses.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>

#include "backends/backend.h"
#include "bench/backends/ratio.h"
#include "bench/shm_rpc/round_trips.h"

namespace coaio::bench {
namespace {

// Remembers the ends of what a measure gave.
class Extremes {
 public:
  double add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
    return value;
  }
  double low = 1e30;
  double high = 0;
};

void print(const std::string& what, const std::function<double()>& round_trip) {
  Extremes subject;
  Extremes floor;
  const Ratio ratio = compare([&] { return subject.add(round_trip()); },
                              [&] { return floor.add(atomic_round_trip()); });
  std::printf("%-36s %6.0f (%.0f-%.0f)  atomics %4.0f (%.0f-%.0f)  ratio %.2f [%.2f, %.2f]\n",
              what.c_str(), ratio.subject, subject.low, subject.high, ratio.floor, floor.low,
              floor.high, ratio.value, ratio.low, ratio.high);
  std::fflush(stdout);
}

void print_all(Backend backend) {
  const auto selected = select_monitor(backend);
  if (!selected.ok()) {
    std::printf("skipped: %s\n", std::string(selected.status().message()).c_str());
    return;
  }
  const std::string name(selected->monitor->name());
  print(name + ": poll sources", [&] { return source_round_trip(backend); });
  print(name + ": shm_rpc, rings only", [&] { return ring_round_trip(backend, false); });
  print(name + ": shm_rpc, socket watched", [&] { return ring_round_trip(backend, true); });
}

}  // namespace
}  // namespace coaio::bench

int main() {
  for (const coaio::Backend backend :
       {coaio::Backend::kPpoll, coaio::Backend::kEpoll, coaio::Backend::kIoUring}) {
    coaio::bench::print_all(backend);
  }
  return 0;
}
