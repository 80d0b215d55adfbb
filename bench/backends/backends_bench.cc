// What waiting costs on each back end, beside bare system calls that do the same.
//
//   bazel run -c opt //bench/backends:backends_bench -- [turns|pairs|growth|order|peek|removals]...
//
// A turn is as many waits as it takes to hear of each active descriptor once; a pair is one more
// descriptor watched, told to the kernel, forgotten, told to the kernel. All in nanoseconds; ratios
// are medians over interleaved pairs with a 95 % bootstrap interval. System calls are counted by
// tracing.

#include <sys/eventfd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/unique_fd.h"
#include "bench/backends/contender.h"
#include "bench/backends/load.h"
#include "bench/backends/ratio.h"
#include "tests/support/system_calls.h"

namespace coaio::bench {

using namespace internal;
namespace {

using Make = std::unique_ptr<Contender> (*)(Backend, Trigger);

constexpr std::size_t kIdle[] = {0, 1, 8, 64, 1'000, 10'000};
constexpr std::size_t kMost = 10'000;

bool available(Backend backend) { return make_coaio(backend, Trigger::kEdge) != nullptr; }

double calls_per(const std::function<void(Load&)>& work, const std::function<Load()>& make) {
  constexpr int kTimes = 50;
  const auto calls = testing::count_system_calls([&](testing::CallCounter& counter) {
    Load load = make();
    counter.begin();
    for (int i = 0; i < kTimes; ++i) {
      work(load);
    }
    counter.end();
  });
  int sum = 0;
  for (const auto& [number, count] : calls) {
    sum += count;
  }
  return static_cast<double>(sum) / kTimes;
}

void print(const Ratio& ratio) {
  std::printf("%10.0f %10.0f   %5.2f [%.2f, %.2f]", ratio.subject, ratio.floor, ratio.value,
              ratio.low, ratio.high);
}

// --- coaio beside bare calls --------------------------------------------------------------------

void print_turns() {
  std::printf("\nturns: ns, and system calls but for those that make descriptors ready\n");
  std::printf("%-9s %-9s %6s %6s %10s %10s   %s %20s\n", "back end", "trigger", "idle", "active",
              "coaio", "bare", "ratio", "calls");
  for (const Backend backend : kBackends) {
    for (const Trigger trigger : kTriggers) {
      for (const std::size_t active : {1, 64}) {
        for (const std::size_t idle : kIdle) {
          if (!available(backend)) {
            continue;
          }
          Load coaio(make_coaio(backend, trigger), trigger, idle, active);
          Load bare(make_bare(backend, trigger), trigger, idle, active);
          const Ratio ratio = compare([&] { return coaio.nanoseconds_per_turn(); },
                                      [&] { return bare.nanoseconds_per_turn(); });
          const double made_ready = trigger == Trigger::kEdge ? static_cast<double>(active) : 0;
          const auto calls = [&](Make make) {
            return calls_per([](Load& load) { load.turn(); },
                             [&] { return Load(make(backend, trigger), trigger, idle, active); }) -
                   made_ready;
          };
          std::printf("%-9s %-9s %6zu %6zu ", name_of(backend).data(), name_of(trigger).data(),
                      idle, active);
          print(ratio);
          std::printf("   %5.2f %5.2f\n", calls(make_coaio), calls(make_bare));
          std::fflush(stdout);
        }
      }
    }
  }
}

void print_pairs() {
  std::printf("\npairs of watching and forgetting: ns, system calls\n");
  for (const Backend backend : kBackends) {
    for (const Trigger trigger : kTriggers) {
      for (const std::size_t idle : kIdle) {
        if (!available(backend)) {
          continue;
        }
        Load coaio(make_coaio(backend, trigger), trigger, idle, 0);
        Load bare(make_bare(backend, trigger), trigger, idle, 0);
        const Ratio ratio = compare([&] { return coaio.nanoseconds_per_pair(); },
                                    [&] { return bare.nanoseconds_per_pair(); });
        const auto calls = [&](Make make) {
          return calls_per([](Load& load) { load.pair(); },
                           [&] { return Load(make(backend, trigger), trigger, idle, 0); });
        };
        std::printf("%-9s %-9s %6zu        ", name_of(backend).data(), name_of(trigger).data(),
                    idle);
        print(ratio);
        std::printf("   %5.2f %5.2f\n", calls(make_coaio), calls(make_bare));
        std::fflush(stdout);
      }
    }
  }
}

// --- coaio beside coaio -------------------------------------------------------------------------

void print_growth() {
  std::printf("\ngrowth: one active among %zu idle, beside one active and none idle\n", kMost);
  for (const Backend backend : kBackends) {
    for (const Trigger trigger : kTriggers) {
      if (!available(backend)) {
        continue;
      }
      Load many(make_coaio(backend, trigger), trigger, kMost, 1);
      Load none(make_coaio(backend, trigger), trigger, 0, 1);
      std::printf("%-9s %-9s ", name_of(backend).data(), name_of(trigger).data());
      print(compare([&] { return many.nanoseconds_per_turn(); },
                    [&] { return none.nanoseconds_per_turn(); }));
      std::printf("\n");
    }
  }
}

void print_order() {
  constexpr Trigger kTrigger = Trigger::kEdge;  // what the runtime arms for its own descriptors
  std::printf("\norder: an edge-triggered turn on each back end, beside epoll\n");
  for (const std::size_t active : {1, 64}) {
    for (const std::size_t idle : {0, 1, 2, 4, 8, 16, 32, 64, 1'000}) {
      for (const Backend backend : {Backend::kPpoll, Backend::kIoUring}) {
        if (!available(backend)) {
          continue;
        }
        Load subject(make_coaio(backend, kTrigger), kTrigger, idle, active);
        Load epoll(make_coaio(Backend::kEpoll, kTrigger), kTrigger, idle, active);
        std::printf("%-9s %6zu idle %3zu active ", name_of(backend).data(), idle, active);
        print(compare([&] { return subject.nanoseconds_per_turn(); },
                      [&] { return epoll.nanoseconds_per_turn(); }));
        std::printf("\n");
      }
    }
  }
}

void print_peek() {
  std::printf("\npeek: ns\n");
  for (const Backend backend : kBackends) {
    absl::StatusOr<SelectedMonitor> selected = select_monitor(backend);
    if (!selected.ok()) {
      continue;
    }
    const UniqueFd event(eventfd(0, EFD_CLOEXEC));
    FdMonitor& monitor = *selected->monitor;
    std::vector<FdEvent> ready;
    monitor.arm(event.get(), {}, Events::kIn, Trigger::kEdge);
    check(monitor.wait(std::chrono::nanoseconds(0), ready).ok(), "a benchmark cannot wait");
    std::vector<double> samples;
    for (int i = 0; i < 21; ++i) {
      constexpr int kTimes = 100'000;
      int nothing = 0;
      const auto begin = std::chrono::steady_clock::now();
      for (int j = 0; j < kTimes; ++j) {
        nothing += monitor.peek() == Peek::kNothing ? 1 : 0;
      }
      const std::chrono::duration<double, std::nano> taken =
          std::chrono::steady_clock::now() - begin;
      samples.push_back(taken.count() / kTimes);
      check(backend != Backend::kIoUring || nothing == kTimes, "peek sees what is not there");
    }
    std::printf("%-9s %5.2f\n", name_of(backend).data(), median(samples));
  }
}

// --- the size of the completion ring ------------------------------------------------------------

double milliseconds_to_remove(unsigned completions) {
  const std::unique_ptr<FdMonitor> monitor = *make_io_uring_monitor({.completions = completions});
  std::vector<FdEvent> ready;
  for (std::uint32_t slot = 0; slot < kMost; ++slot) {
    monitor->arm(idle_descriptor(slot), {slot, 1}, Events::kIn, Trigger::kEdge);
  }
  check(monitor->wait(std::chrono::nanoseconds(0), ready).ok(), "a benchmark cannot wait");
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint32_t slot = 0; slot < kMost; ++slot) {
    monitor->disarm({slot, 1});
  }
  check(monitor->wait(std::chrono::nanoseconds(0), ready).ok(), "a benchmark cannot wait");
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

void print_removals() {
  if (!io_uring_support().ok()) {
    return;
  }
  std::printf("\nremovals: ms for %zu, oldest first, by entries of the completion ring\n", kMost);
  for (unsigned completions = 256; completions <= 32'768; completions *= 2) {
    std::vector<double> samples;
    for (int i = 0; i < 15; ++i) {
      samples.push_back(milliseconds_to_remove(completions));
    }
    std::printf("%6u entries %5u KiB %7.1f\n", completions, completions / 64, median(samples));
  }
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  using namespace coaio::bench;
  const std::map<std::string, void (*)()> sections = {
      {"turns", print_turns}, {"pairs", print_pairs}, {"growth", print_growth},
      {"order", print_order}, {"peek", print_peek},   {"removals", print_removals},
  };
  allow_descriptors(kMost + 1'000);
  const std::set<std::string> wanted(argv + 1, argv + argc);
  for (const auto& [name, section] : sections) {
    if (wanted.empty() || wanted.contains(name)) {
      section();
    }
  }
}
