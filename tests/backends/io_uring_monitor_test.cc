// Behaviour of the io_uring back end beyond the contract: peek() in user space, requests that the
// kernel ends, rings that overflow.

#include "backends/io_uring_monitor.h"

#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
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
#include "tests/support/child.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/watcher.h"

namespace coaio::testing {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

constexpr Key kKey{.slot = 0, .generation = 1};

// Where io_uring is refused, reports the test case as skipped and returns null.
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
  monitor->want(kKey, Events::kIn);  // the request is in flight: nothing is queued
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
  other.join();  // the write has published the event
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
  // The renewed request asks for the events that were wanted then; want() adds another direction.
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

// --- multishot requests that the kernel ended ---------------------------------------------------

// So many ready descriptors that a small completion ring has no room for other events.
std::vector<UniqueFd> crowd(FdMonitor& monitor, std::uint32_t count) {
  std::vector<UniqueFd> ready;
  for (std::uint32_t i = 0; i < count; ++i) {
    ready.push_back(make_eventfd(1));
    monitor.arm(ready.back().get(), {.slot = 10 + i, .generation = 1}, Events::kIn,
                Trigger::kLevel);
  }
  return ready;
}

// Readable, and not writable until it is read.
UniqueFd make_full_eventfd() {
  UniqueFd event = checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE));
  REQUIRE(eventfd_write(event.get(), std::numeric_limits<std::uint64_t>::max() - 1) == 0);
  return event;
}

bool is_reported_writable(FdMonitor& monitor, Key key) {
  constexpr int kManyWaits = 60;
  for (int i = 0; i < kManyWaits; ++i) {
    for (const FdEvent& ready : wait_once(monitor)) {
      if (ready.key == key && any(ready.events & Events::kOut)) {
        return true;
      }
    }
  }
  return false;
}

TEST_CASE("an eventfd is not taken for a file without readiness when its requests lack room") {
  for (const Trigger trigger : kAllTriggers) {
    for (unsigned rung = 0; rung < 3; ++rung) {
      for (std::uint32_t others = 3; others < 12; ++others) {
        for (const int waits : {1, 2, 3, 4, 5}) {
          const std::unique_ptr<FdMonitor> monitor =
              monitor_or_skip({.submissions = 2, .completions = 4, .rung = rung});
          if (monitor == nullptr) {
            return;
          }
          const UniqueFd event = make_full_eventfd();
          const std::vector<UniqueFd> ready = crowd(*monitor, others);
          monitor->arm(event.get(), kKey,
                       trigger == Trigger::kEdge ? kAllDirections | Events::kPriority
                                                 : Events::kOut | Events::kPriority,
                       trigger);
          monitor->want(kKey, Events::kOut | Events::kPriority);
          for (int i = 0; i < waits; ++i) {
            wait_once(*monitor);
          }
          std::uint64_t one = 0;
          REQUIRE(eventfd_read(event.get(), &one) == 0);  // ready for both directions now
          REQUIRE(is_reported_writable(*monitor, kKey));
        }
      }
    }
  }
}

// A send leaves a time stamp in the error queue, and POLLERR lasts until the stamp is read.
void put_into_error_queue(const Pair& pair) {
  const int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
  REQUIRE(setsockopt(pair.a.get(), SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) == 0);
  write_all(pair.a, "x");
  pollfd entry{.fd = pair.a.get(), .events = 0, .revents = 0};
  constexpr int kPatienceMs = 10'000;
  REQUIRE(poll(&entry, 1, kPatienceMs) == 1);
  REQUIRE((entry.revents & POLLERR) != 0);
}

// After each report the owner of a stream finds no data or no room, and waits again.
TEST_CASE(
    "a stream with something in its error queue does not spin, whatever its requests ask for") {
  constexpr int kWaits = 200;
  constexpr std::size_t kFew = 10;
  for (unsigned rung = 0; rung < 3; ++rung) {
    for (const Events wanted : {Events::kIn, Events::kOut, Events::kIn | Events::kOut}) {
      for (const bool lacks_room : {false, true}) {
        const std::unique_ptr<FdMonitor> monitor =
            monitor_or_skip({.submissions = 2, .completions = lacks_room ? 4U : 64U, .rung = rung});
        if (monitor == nullptr) {
          return;
        }
        const Pair pair = make_tcp_pair();
        fill(pair.a);
        monitor->arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
        monitor->want(kKey, wanted);
        {
          const std::vector<UniqueFd> others = crowd(*monitor, lacks_room ? 12 : 0);
          for (int i = 0; i < 4; ++i) {
            write_all(pair.b, "x");
            wait_once(*monitor);
            read_all(pair.a);
            monitor->want(kKey, wanted);
          }
          for (std::uint32_t i = 0; i < others.size(); ++i) {
            monitor->disarm({.slot = 10 + i, .generation = 1});
          }
        }
        read_all(pair.b);
        put_into_error_queue(pair);
        fill(pair.a);
        std::size_t reports = 0;
        for (int i = 0; i < kWaits; ++i) {
          const std::size_t count = count_of(wait_once(*monitor), kKey);
          reports += count;
          if (count != 0) {
            monitor->want(kKey, wanted & Events::kIn);
            monitor->want(kKey, wanted & Events::kOut);
          }
        }
        CHECK(reports < kFew);
      }
    }
  }
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
    write_all(pair.b, "x");  // the kernel is processing the request now
    monitor->disarm({0, generation});
    pair.a.reset();
    CHECK(wait_once(*monitor).empty());
    char byte = 0;
    CHECK(recv(pair.b.get(), &byte, 1, 0) <= 0);
    CHECK(errno != EAGAIN);  // the peer is closed, so the kernel holds it no longer
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
        CHECK(monitor->peek() == Peek::kNothing);  // kCannotTell if a request were queued
      }
    }
  }
}

// --- the size of the rings ----------------------------------------------------------------------

TEST_CASE("many watches move to a large ring once, and no event is lost by that") {
  constexpr std::uint32_t kCount = 3000;
  if (!allow_descriptors(kCount + 100)) {
    return report_skipped("RLIMIT_NOFILE allows fewer than 3,100 descriptors");
  }
  for (const Trigger trigger : kAllTriggers) {
    const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
    if (monitor == nullptr) {
      return;
    }
    const UniqueFd ready = make_eventfd(1);
    const UniqueFd idle = make_eventfd(0);
    const auto is_ready = [](std::uint32_t slot) { return slot % 7 == 0; };
    std::vector<UniqueFd> twins;
    std::vector<int> seen(kCount, 0);
    Watcher watcher(*monitor);
    for (std::uint32_t slot = 0; slot < kCount; ++slot) {
      twins.push_back(checked(dup(is_ready(slot) ? ready.get() : idle.get())));
      monitor->arm(twins.back().get(), {slot, 1}, Events::kIn, trigger);
      monitor->want({slot, 1}, Events::kIn);
      if (slot % 100 == 0) {
        for (const FdEvent& one : wait_once(*monitor)) {
          ++seen[one.key.slot];
        }
      }
    }
    for (int i = 0; i < 200; ++i) {
      for (const FdEvent& one : wait_once(*monitor)) {
        ++seen[one.key.slot];
      }
    }
    std::uint32_t right = 0;
    for (std::uint32_t slot = 0; slot < kCount; ++slot) {
      const bool once = trigger != Trigger::kOneShot || seen[slot] <= 1;
      right += (seen[slot] != 0) == is_ready(slot) && once ? 1 : 0;
    }
    CHECK(right == kCount);
    REQUIRE(eventfd_write(idle.get(), 1) == 0);
    std::vector<bool> heard(kCount, false);
    for (int i = 0; i < 400; ++i) {
      for (const FdEvent& one : wait_once(*monitor)) {
        heard[one.key.slot] = true;
      }
    }
    std::uint32_t missing = 0;
    for (std::uint32_t slot = 0; slot < kCount; ++slot) {
      missing += is_ready(slot) || heard[slot] ? 0 : 1;
    }
    CHECK(missing == 0);
  }
}

// The number of rings that fit into RLIMIT_MEMLOCK, which bounds all rings of a user together. The
// user has no other process, and no earlier test used this user, because the kernel releases locked
// memory late.
std::string rings_within(rlim_t bytes, int wanted, uid_t user) {
  return run_in_child([=]() -> std::string {
    const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setgid(user) != 0 || setuid(user) != 0) {
      return "not allowed";
    }
    std::vector<std::unique_ptr<FdMonitor>> monitors;
    for (int i = 0; i < wanted; ++i) {
      absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make_io_uring_monitor();
      if (!monitor.ok()) {
        break;
      }
      monitors.push_back(*std::move(monitor));
    }
    const bool pollable = monitors.empty() || monitors.back()->pollable_fd().ok();
    return std::to_string(monitors.size()) + (pollable ? "" : ", the last without a pollable ring");
  });
}

TEST_CASE("RLIMIT_MEMLOCK of 8 MiB is enough for 250 contexts of an unprivileged user") {
  if (monitor_or_skip() == nullptr) {
    return;
  }
  constexpr int kMany = 250;
  const std::string rings = rings_within(rlim_t{8} << 20, kMany, 54'321);
  if (rings == "not allowed") {
    return report_skipped("only root can become another user");
  }
  CHECK(rings == std::to_string(kMany));
}

TEST_CASE("where memory to lock is short, smaller rings are made, the pollable ring included") {
  if (monitor_or_skip() == nullptr) {
    return;
  }
  constexpr int kSome = 4;
  const std::string rings = rings_within(rlim_t{128} << 10, kSome, 54'322);
  if (rings == "not allowed") {
    return report_skipped("only root can become another user");
  }
  CHECK(rings == std::to_string(kSome));
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

// The target of this descriptor's link in /proc.
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
