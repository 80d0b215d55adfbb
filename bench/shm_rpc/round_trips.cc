#include "bench/shm_rpc/round_trips.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "backends/backend.h"
#include "backends/check.h"
#include "bench/backends/ratio.h"
#include "bench/shm_rpc/two_cpus.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {

using namespace internal;
namespace {

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  // Refused in some containers: slower, not wrong.
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void wait_for(const std::atomic<int>& number, int value) {
  while (number.load(std::memory_order_acquire) != value) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace

ContextOptions never_sleeping(Backend backend) {
  return {.backend = backend,
          .polling = PollFixed{.max = std::chrono::seconds(20)},
          .polling_gives_way = false};
}

double Stopwatch::nanoseconds_per_round() const {
  std::vector<double> stretches;
  for (std::size_t i = 1; i < ends_.size(); ++i) {
    const std::chrono::duration<double, std::nano> taken = ends_[i] - ends_[i - 1];
    stretches.push_back(taken.count() / kRoundsPerStretch);
  }
  return median(stretches);
}

double time_round_trips(const std::function<void(Stopwatch&)>& ask,
                        const std::function<void()>& serve) {
  // Before this thread is pinned, after which it could use one only.
  static const std::optional<TwoCpus> cpus = choose_two_cpus();
  check(cpus.has_value(), "two threads that never sleep need two CPUs");
  std::atomic<bool> ready{false};
  std::thread server([&] {
    pin_to(cpus->second);
    ready = true;
    serve();
  });
  pin_to(cpus->first);
  while (!ready) {
  }
  Stopwatch watch;
  ask(watch);
  server.join();
  return watch.nanoseconds_per_round();
}

double atomic_round_trip() {
  alignas(64) std::atomic<int> there{0};
  alignas(64) std::atomic<int> back{0};
  return time_round_trips(
      [&](Stopwatch& watch) {
        for (int i = 1; i <= kRounds; ++i) {
          there.store(i, std::memory_order_release);
          wait_for(back, i);
          watch.round();
        }
      },
      [&] {
        for (int i = 1; i <= kRounds; ++i) {
          wait_for(there, i);
          back.store(i, std::memory_order_release);
        }
      });
}

}  // namespace coaio::bench
