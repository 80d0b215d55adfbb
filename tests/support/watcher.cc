#include "tests/support/watcher.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};
// No test has more reasons than this for one watch to report.
constexpr int kManyWaits = 1000;

}  // namespace

std::vector<FdEvent> Watcher::next() {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::vector<FdEvent> ready;
  while (ready.empty()) {
    const auto left = until - std::chrono::steady_clock::now();
    REQUIRE_MESSAGE(left.count() > 0, "nothing was reported: an event is lost");
    const absl::Status status = monitor_.wait(left, ready);
    REQUIRE_MESSAGE(status.ok(), status.ToString());
  }
  return ready;
}

Events Watcher::next_of(Key key) {
  const std::vector<FdEvent> ready = next();
  REQUIRE(ready.size() == 1);
  CHECK(ready.front().key == key);
  return ready.front().events;
}

std::vector<FdEvent> Watcher::drain() {
  std::vector<FdEvent> all;
  for (int i = 0; i < kManyWaits; ++i) {
    const std::vector<FdEvent> ready = wait_now();
    if (ready.empty()) {
      return all;
    }
    all.insert(all.end(), ready.begin(), ready.end());
  }
  FAIL("the monitor reports without end");
  return all;
}

bool Watcher::quiet() { return wait_now().empty() && sleeps(); }

// A wait may return early, but not for ever: the kernel interrupts a thread once for each io_uring
// that an earlier test has closed.
bool Watcher::sleeps() {
  constexpr int kEarlyReturns = 200;
  constexpr std::chrono::microseconds kNap{200};
  for (int i = 0; i < kEarlyReturns; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<FdEvent> ready;
    REQUIRE(monitor_.wait(kNap, ready).ok());
    if (!ready.empty()) {
      return false;
    }
    if (std::chrono::steady_clock::now() - begin >= kNap) {
      return true;
    }
  }
  return false;
}

std::vector<FdEvent> Watcher::wait_now() {
  std::vector<FdEvent> ready;
  const absl::Status status = monitor_.wait(std::chrono::nanoseconds(0), ready);
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  return ready;
}

std::size_t count_of(const std::vector<FdEvent>& ready, Key key) {
  return static_cast<std::size_t>(std::count_if(
      ready.begin(), ready.end(), [key](const FdEvent& one) { return one.key == key; }));
}

Events events_of(const std::vector<FdEvent>& ready, Key key) {
  Events events = Events::kNone;
  for (const FdEvent& one : ready) {
    if (one.key == key) {
      events |= one.events;
    }
  }
  return events;
}

}  // namespace coaio::testing
