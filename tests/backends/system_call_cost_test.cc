// The system calls of each verb, on each back end, in the steady state.

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/descriptors.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"
#include "tests/support/watcher.h"

namespace coaio::testing {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kNow{0};
constexpr int kTimes = 20;

// The calls that a back end may make.
struct Cost {
  int waits = 0;    // ppoll, epoll_wait, epoll_pwait2, io_uring_enter
  int changes = 0;  // epoll_ctl
  int others = 0;

  bool operator==(const Cost&) const = default;
};

doctest::String toString(const Cost& cost) {
  return (std::to_string(cost.waits) + " waits, " + std::to_string(cost.changes) + " changes, " +
          std::to_string(cost.others) + " others")
      .c_str();
}

Cost cost_of(const std::map<long, int>& calls) {
  Cost cost;
  for (const auto& [number, count] : calls) {
    switch (number) {
      case SYS_ppoll:
      case SYS_epoll_wait:
      case SYS_epoll_pwait:
      case SYS_epoll_pwait2:
      case SYS_io_uring_enter:
        cost.waits += count;
        break;
      case SYS_epoll_ctl:
        cost.changes += count;
        break;
      case SYS_read:  // a call of the test itself
      case SYS_write:
        break;
      default:
        cost.others += kSanitized ? 0 : count;
    }
  }
  return cost;
}

struct Bench {
  FdMonitor& monitor;
  std::vector<FdEvent> ready;

  void wait(nanoseconds timeout) {
    ready.clear();
    if (!monitor.wait(timeout, ready).ok()) {
      std::abort();
    }
  }
};

Cost measure(Backend backend, const std::function<void(Bench&, CallCounter&)>& work) {
  return cost_of(count_system_calls([&](CallCounter& counter) {
    const std::unique_ptr<FdMonitor> monitor = std::move(select_monitor(backend)->monitor);
    Bench bench{*monitor, {}};
    work(bench, counter);
  }));
}

// The costs of the same work on each back end that this machine allows.
void check_costs(const std::map<Backend, Cost>& expected,
                 const std::function<void(Bench&, CallCounter&)>& work) {
  for (const auto& [backend, cost] : expected) {
    if (select_monitor(backend).ok()) {
      CAPTURE(static_cast<int>(backend));
      CHECK(measure(backend, work) == cost);
    }
  }
}

TEST_CASE("the costs can be counted here") {
  if (!tracing_works()) {
    return report_skipped("a sandbox or a debugger forbids ptrace: no cost is checked");
  }
  const absl::StatusOr<SelectedMonitor> io_uring = select_monitor(Backend::kIoUring);
  if (!io_uring.ok()) {
    report_skipped(std::string(io_uring.status().message()));
  }
}

TEST_CASE("a change and its opposite before the next wait cost nothing") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {.waits = kTimes}},
               {Backend::kEpoll, {.waits = kTimes}},
               {Backend::kIoUring, {.waits = 0}}},
              [](Bench& bench, CallCounter& counter) {
                const Pair pair = make_pipe();
                bench.wait(kNow);
                counter.begin();
                for (std::uint32_t i = 0; i < kTimes; ++i) {
                  bench.monitor.arm(pair.a.get(), {0, i}, Events::kIn, Trigger::kOneShot);
                  bench.monitor.disarm({0, i});
                  bench.wait(kNow);
                }
                counter.end();
              });
}

TEST_CASE("an edge-triggered watch costs one call for each wait, and none to say what is wanted") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {.waits = kTimes}},
               {Backend::kEpoll, {.waits = kTimes}},
               {Backend::kIoUring, {.waits = kTimes}}},
              [](Bench& bench, CallCounter& counter) {
                const Pair pair = make_unix_pair();
                bench.monitor.arm(pair.a.get(), {}, kAllDirections, Trigger::kEdge);
                bench.wait(kNow);
                bench.wait(kNow);
                counter.begin();
                for (int i = 0; i < kTimes; ++i) {
                  bench.monitor.want({}, Events::kIn);
                  write_all(pair.b, "x");
                  bench.wait(FdMonitor::kForever);
                  read_all(pair.a);
                }
                counter.end();
              });
}

TEST_CASE("a one-shot watch costs epoll one call to arm it, and the others none") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {.waits = kTimes}},
               {Backend::kEpoll, {.waits = kTimes, .changes = kTimes}},
               {Backend::kIoUring, {.waits = kTimes}}},
              [](Bench& bench, CallCounter& counter) {
                const Pair pair = make_pipe();
                write_all(pair.b, "x");
                bench.wait(kNow);
                counter.begin();
                for (int i = 0; i < kTimes; ++i) {
                  bench.monitor.arm(pair.a.get(), {}, Events::kIn, Trigger::kOneShot);
                  bench.wait(FdMonitor::kForever);
                }
                counter.end();
              });
}

TEST_CASE("a level-triggered watch costs one call for each wait") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {.waits = kTimes}},
               {Backend::kEpoll, {.waits = kTimes}},
               {Backend::kIoUring, {.waits = kTimes}}},
              [](Bench& bench, CallCounter& counter) {
                const Pair pair = make_pipe();
                write_all(pair.b, "x");
                bench.monitor.arm(pair.a.get(), {}, Events::kIn, Trigger::kLevel);
                bench.wait(kNow);
                counter.begin();
                for (int i = 0; i < kTimes; ++i) {
                  bench.wait(FdMonitor::kForever);
                }
                counter.end();
              });
}

TEST_CASE("many changes cost epoll a call each, and io_uring one together with the wait") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {.waits = 2}},
               {Backend::kEpoll, {.waits = 2, .changes = 2 * kTimes}},
               {Backend::kIoUring, {.waits = 2}}},
              [](Bench& bench, CallCounter& counter) {
                std::vector<Pair> pairs;
                for (int i = 0; i < kTimes; ++i) {
                  pairs.push_back(make_pipe());
                }
                bench.wait(kNow);
                counter.begin();
                for (std::uint32_t slot = 0; slot < kTimes; ++slot) {
                  bench.monitor.arm(pairs[slot].a.get(), {slot, 1}, Events::kIn, Trigger::kLevel);
                }
                bench.wait(kNow);
                for (std::uint32_t slot = 0; slot < kTimes; ++slot) {
                  bench.monitor.disarm({slot, 1});
                }
                bench.wait(kNow);
                counter.end();
              });
}

TEST_CASE("to settle a disarmed watch costs one call, and none if the kernel does not know it") {
  if (!tracing_works()) {
    return;
  }
  for (const bool submitted : {true, false}) {
    CAPTURE(submitted);
    const int times = submitted ? kTimes : 0;
    check_costs({{Backend::kPpoll, {}},
                 {Backend::kEpoll, {.changes = times}},
                 {Backend::kIoUring, {.waits = times}}},
                [submitted](Bench& bench, CallCounter& counter) {
                  const Pair pair = make_unix_pair();
                  for (std::uint32_t i = 0; i < kTimes; ++i) {
                    bench.monitor.arm(pair.a.get(), {0, i}, kAllDirections, Trigger::kEdge);
                    if (submitted) {
                      bench.wait(kNow);
                    }
                    counter.begin();
                    bench.monitor.disarm({0, i});
                    bench.monitor.settle();
                    bench.monitor.settle();
                    counter.end();
                  }
                });
  }
}

TEST_CASE("one call settles many watches on io_uring") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {}},
               {Backend::kEpoll, {.changes = 5 * kTimes}},
               {Backend::kIoUring, {.waits = 1}}},
              [](Bench& bench, CallCounter& counter) {
                std::vector<Pair> pairs;
                for (std::uint32_t slot = 0; slot < 5 * kTimes; ++slot) {
                  pairs.push_back(make_unix_pair());
                  bench.monitor.arm(pairs.back().a.get(), {slot, 1}, Events::kIn, Trigger::kEdge);
                }
                bench.wait(kNow);
                counter.begin();
                for (std::uint32_t slot = 0; slot < 5 * kTimes; ++slot) {
                  bench.monitor.disarm({slot, 1});
                }
                bench.monitor.settle();
                counter.end();
              });
}

TEST_CASE("a one-shot watch that was reported is disarmed and settled without a call") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {}}, {Backend::kIoUring, {}}},
              [](Bench& bench, CallCounter& counter) {
                const Pair pair = make_unix_pair();
                write_all(pair.b, "x");
                bench.monitor.arm(pair.a.get(), {0, 1}, Events::kIn, Trigger::kOneShot);
                bench.wait(kNow);
                if (bench.ready.size() != 1) {
                  std::abort();
                }
                counter.begin();
                bench.monitor.disarm({0, 1});
                bench.monitor.settle();
                counter.end();
              });
}

// If the watch were unregistered after the close, epoll_ctl(2) would fail, and the next event of
// the file would replace the whole epoll instance.
TEST_CASE("closing a file that a forked child has too does not make epoll watch all others anew") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kEpoll, {.waits = 1, .changes = 1}}},
              [](Bench& bench, CallCounter& counter) {
                std::vector<Pair> pairs;
                for (std::uint32_t slot = 0; slot < kTimes; ++slot) {
                  pairs.push_back(make_unix_pair());
                  bench.monitor.arm(pairs.back().a.get(), {slot, 1}, Events::kIn, Trigger::kEdge);
                }
                bench.wait(kNow);
                const UniqueFd twin(dup(pairs[0].a.get()));  // as a forked child has
                counter.begin();
                bench.monitor.disarm({0, 1});
                bench.monitor.settle();
                counter.end();
                pairs[0].a.reset();
                write_all(pairs[0].b, "x");
                counter.begin();
                bench.wait(kNow);
                counter.end();
              });
}

TEST_CASE("peek costs nothing, and a wait that need not sleep costs io_uring nothing") {
  if (!tracing_works()) {
    return;
  }
  check_costs({{Backend::kPpoll, {.waits = kTimes}},
               {Backend::kEpoll, {.waits = kTimes}},
               {Backend::kIoUring, {.waits = 0}}},
              [](Bench& bench, CallCounter& counter) {
                const Pair pair = make_pipe();
                bench.monitor.arm(pair.a.get(), {}, Events::kIn, Trigger::kLevel);
                bench.wait(kNow);
                counter.begin();
                for (int i = 0; i < kTimes; ++i) {
                  bench.monitor.peek();
                  bench.wait(kNow);
                }
                counter.end();
              });
}

}  // namespace
}  // namespace coaio::testing
