// Round trips through memory between two loops that poll, beside two threads that spin on two
// atomics.
//
//   bazel run -c opt //bench/shm_rpc:shm_rpc_bench
//
// In nanoseconds: medians with minimum and maximum, and the median ratio to the atomics with its
// 95 % bootstrap interval, over interleaved pairs, and whether the bound is kept: that on a ratio
// when the interval's lower end keeps it. Needs two CPUs that no other process uses.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>

#include "backends/backend.h"
#include "bench/backends/ratio.h"
#include "bench/shm_rpc/round_trips.h"
#include "bench/shm_rpc/two_cpus.h"

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

constexpr double kMostNanoseconds = 300;  // from poll source to poll source and back
constexpr double kMostOfAtomics = 2.5;    // of shm_rpc

Ratio print(const std::string& what, const std::function<double()>& round_trip) {
  Extremes subject;
  Extremes floor;
  const Ratio ratio = compare([&] { return subject.add(round_trip()); },
                              [&] { return floor.add(atomic_round_trip()); });
  std::printf("%-36s %6.0f (%.0f-%.0f)  atomics %4.0f (%.0f-%.0f)  ratio %.2f [%.2f, %.2f]\n",
              what.c_str(), ratio.subject, subject.low, subject.high, ratio.floor, floor.low,
              floor.high, ratio.value, ratio.low, ratio.high);
  std::fflush(stdout);
  return ratio;
}

void print_verdict(const std::string& bound, bool kept) {
  std::printf("    %s: %s\n", bound.c_str(), kept ? "pass" : "FAIL");
  std::fflush(stdout);
}

void judge_nanoseconds(const Ratio& measured) {
  // What two threads cannot do, two loops cannot either: then the machine is too slow for the
  // bound.
  print_verdict(measured.floor <= kMostNanoseconds ? "at most 300 ns"
                                                   : "at most 300 ns, which the atomics exceed",
                measured.subject <= kMostNanoseconds);
}

void judge_ratio(const Ratio& measured) {
  print_verdict("at most 2.5 times the atomics", measured.low <= kMostOfAtomics);
}

void print_all(Backend backend) {
  const auto selected = select_monitor(backend);
  if (!selected.ok()) {
    std::printf("skipped: %s\n", std::string(selected.status().message()).c_str());
    return;
  }
  const std::string name(selected->monitor->name());
  judge_nanoseconds(print(name + ": poll sources", [&] { return source_round_trip(backend); }));
  for (const bool watched : {false, true}) {
    judge_ratio(print(name + (watched ? ": shm_rpc, socket watched" : ": shm_rpc, rings only"),
                      [&] { return ring_round_trip(backend, watched); }));
  }
}

}  // namespace
}  // namespace coaio::bench

int main() {
  if (!coaio::bench::choose_two_cpus().has_value()) {
    std::printf("skipped: two threads that never sleep need two CPUs\n");
    return 0;
  }
  for (const coaio::Backend backend :
       {coaio::Backend::kPpoll, coaio::Backend::kEpoll, coaio::Backend::kIoUring}) {
    coaio::bench::print_all(backend);
  }
  return 0;
}
