// What the contract does not say and io_uring does: user space sees events, requests end by
// themselves, rings overflow.

#include "backends/io_uring_monitor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/watcher.h"

namespace coaio::testing {
namespace {

using std::chrono::nanoseconds;

constexpr Key kKey{.slot = 0, .generation = 1};

// Null, and the test case reported as skipped, where io_uring is refused.
std::unique_ptr<FdMonitor> monitor_or_skip(IoUringOptions options = {}) {
  if (!io_uring_support().ok()) {
    report_skipped(std::string(io_uring_support().message()));
    return nullptr;
  }
  absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make_io_uring_monitor(options);
  REQUIRE_MESSAGE(monitor.ok(), monitor.status().ToString());
  return *std::move(monitor);
}

std::vector<FdEvent> wait_once(FdMonitor& monitor) {
  std::vector<FdEvent> ready;
  const absl::Status status = monitor.wait(nanoseconds(0), ready);
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  return ready;
}

TEST_CASE("peek tells nothing, ready and cannot-tell apart without a system call") {
  const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
  if (monitor == nullptr) {
    return;
  }
  const Pair pair = make_unix_pair();
  CHECK(monitor->peek() == Peek::kNothing);
  monitor->arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
  CHECK(monitor->peek() == Peek::kCannotTell);
  Watcher watcher(*monitor);
  watcher.settle();
  CHECK(monitor->peek() == Peek::kNothing);
  write_all(pair.b, "x");
  CHECK(monitor->peek() == Peek::kReady);
  CHECK(any(watcher.next_of(kKey) & Events::kIn));
  CHECK(monitor->peek() == Peek::kNothing);
  monitor->want(kKey, Events::kIn);  // the request is alive: nothing is queued
  CHECK(monitor->peek() == Peek::kNothing);
  monitor->disarm(kKey);
  CHECK(monitor->peek() == Peek::kCannotTell);
}

TEST_CASE("what another thread does shows to peek") {
  const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
  if (monitor == nullptr) {
    return;
  }
  const Pair pair = make_unix_pair();
  monitor->arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
  Watcher(*monitor).settle();
  std::thread other([&] { write_all(pair.b, "x"); });
  other.join();  // has published its event, since the write ran the wake-up
  CHECK(monitor->peek() == Peek::kReady);
  CHECK(count_of(wait_once(*monitor), kKey) == 1);
}

TEST_CASE("a full submission ring costs no watch") {
  constexpr std::uint32_t kCount = 50;
  const std::unique_ptr<FdMonitor> monitor = monitor_or_skip({.submissions = 4});
  if (monitor == nullptr) {
    return;
  }
  std::vector<UniqueFd> events;
  for (std::uint32_t slot = 0; slot < kCount; ++slot) {
    events.push_back(make_eventfd(1));
    monitor->arm(events.back().get(), {slot, 1}, Events::kIn, Trigger::kOneShot);
  }
  CHECK(wait_once(*monitor).size() == kCount);
}

TEST_CASE(
    "completions that overflow are late, not lost, and multishot requests that it ended are "
    "renewed by want") {
  constexpr std::uint32_t kCount = 40;
  const std::unique_ptr<FdMonitor> monitor = monitor_or_skip({.submissions = 8, .completions = 8});
  if (monitor == nullptr) {
    return;
  }
  std::vector<Pair> pairs;
  for (std::uint32_t slot = 0; slot < kCount; ++slot) {
    pairs.push_back(make_unix_pair());
    monitor->arm(pairs.back().a.get(), {slot, 1}, kAllDirections, Trigger::kEdge);
  }
  Watcher watcher(*monitor);
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t slot = 0; slot < kCount; ++slot) {
      monitor->want({slot, 1}, Events::kIn);
    }
    watcher.settle();
    for (const Pair& pair : pairs) {
      write_all(pair.b, "x");
    }
    std::vector<bool> seen(kCount, false);
    for (const FdEvent& ready : watcher.drain()) {
      if (any(ready.events & Events::kIn)) {
        seen[ready.key.slot] = true;
      }
    }
    CHECK(std::count(seen.begin(), seen.end(), false) == 0);
    for (const Pair& pair : pairs) {
      CHECK(read_all(pair.a) == "x");
    }
  }
  // A request that was renewed asks for what was wanted then; another direction is added to it.
  for (std::uint32_t slot = 0; slot < kCount; ++slot) {
    fill(pairs[slot].a);
    monitor->want({slot, 1}, Events::kOut);
  }
  watcher.settle();
  for (const Pair& pair : pairs) {
    read_all(pair.b);
  }
  std::vector<bool> seen(kCount, false);
  for (const FdEvent& ready : watcher.drain()) {
    seen[ready.key.slot] = seen[ready.key.slot] || any(ready.events & Events::kOut);
  }
  CHECK(std::count(seen.begin(), seen.end(), false) == 0);
}

TEST_CASE("a watch that is removed with its event on the way leaves no request behind") {
  const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
  if (monitor == nullptr) {
    return;
  }
  for (std::uint32_t generation = 1; generation < 20; ++generation) {
    Pair pair = make_unix_pair();
    monitor->arm(pair.a.get(), {0, generation}, kAllDirections, Trigger::kEdge);
    Watcher(*monitor).settle();
    write_all(pair.b, "x");  // the kernel owns the request now
    monitor->disarm({0, generation});
    pair.a.reset();
    CHECK(wait_once(*monitor).empty());
    char byte = 0;
    CHECK(recv(pair.b.get(), &byte, 1, 0) <= 0);
    CHECK(errno != EAGAIN);  // the socket is gone, so nothing refers to it
  }
}

TEST_CASE("the ring belongs to the thread of the first wait, not to the one that made it") {
  std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
  if (monitor == nullptr) {
    return;
  }
  const UniqueFd event = make_eventfd(1);
  monitor->arm(event.get(), kKey, Events::kIn, Trigger::kOneShot);
  std::thread home([&] { CHECK(wait_once(*monitor).size() == 1); });
  home.join();
  monitor.reset();  // may also end elsewhere
}

TEST_CASE("a wait leaves no watch out of the ring, though it removes another one") {
  for (unsigned rung = 0; rung < 3; ++rung) {
    for (const nanoseconds timeout : {nanoseconds(0), nanoseconds(1)}) {
      for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
        const std::unique_ptr<FdMonitor> monitor = monitor_or_skip({.rung = rung});
        if (monitor == nullptr) {
          return;
        }
        const UniqueFd idle = make_eventfd(0);
        const Pair writer = make_unix_pair();  // full, and half closed
        fill(writer.a);
        REQUIRE(shutdown(writer.b.get(), SHUT_WR) == 0);
        const Pair urgent = make_tcp_pair();  // with data, which is not urgent
        Watcher watcher(*monitor);
        write_all(urgent.b, "data");
        monitor->arm(urgent.a.get(), {3, 1}, Events::kIn, Trigger::kOneShot);
        CHECK(watcher.next_of({3, 1}) == Events::kIn);
        monitor->disarm({3, 1});
        monitor->arm(idle.get(), kKey, Events::kIn, Trigger::kOneShot);
        watcher.settle();

        monitor->disarm(kKey);
        monitor->arm(writer.a.get(), {1, 1}, Events::kOut, trigger);
        monitor->arm(urgent.a.get(), {2, 1}, Events::kPriority, trigger);
        std::vector<FdEvent> ready;
        REQUIRE(monitor->wait(timeout, ready).ok());
        CHECK(ready.empty());
        CHECK(monitor->peek() == Peek::kNothing);  // else it cannot tell
      }
    }
  }
}

TEST_CASE("every rung of the ladder of flags makes a ring") {
  for (unsigned rung = 0; rung < 3; ++rung) {
    const std::unique_ptr<FdMonitor> monitor = monitor_or_skip({.rung = rung});
    if (monitor == nullptr) {
      return;
    }
    const UniqueFd event = make_eventfd(1);
    monitor->arm(event.get(), kKey, Events::kIn, Trigger::kOneShot);
    CHECK(Watcher(*monitor).next_of(kKey) == Events::kIn);
  }
}

// What /proc says that this descriptor is.
std::string kind_of(int fd) {
  char target[64] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  return readlink(link.c_str(), target, sizeof target - 1) > 0 ? target : "";
}

TEST_CASE("a ring is closed when another program is executed") {
  const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
  if (monitor == nullptr) {
    return;
  }
  int rings = 0;
  for (int fd = 0; fd < 1000; ++fd) {
    if (kind_of(fd).find("io_uring") != std::string::npos) {
      ++rings;
      CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
  }
  CHECK(rings == 1);
}

}  // namespace
}  // namespace coaio::testing
