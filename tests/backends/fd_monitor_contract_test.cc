// The contract of FdMonitor, clause by clause, on every back end: keys, changes, waits. The
// triggers are in trigger_contract_test.cc, kinds of descriptors in descriptor_contract_test.cc,
// and how they close in closing_contract_test.cc.

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/abort_message.h"
#include "tests/support/back_ends.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/watcher.h"

namespace coaio::testing {
namespace {

constexpr Key kFirst{.slot = 0, .generation = 1};
constexpr Key kSecond{.slot = 1, .generation = 1};
constexpr Key kThird{.slot = 2, .generation = 1};

TEST_CASE("every back end can be tried here") {
  for (const BackEnd& back_end : all_back_ends()) {
    const absl::Status status = back_end.make().status();
    if (!status.ok()) {
      return report_skipped(back_end.name + ": " + std::string(status.message()));
    }
  }
}

TEST_CASE("a wait reports a ready descriptor under the key it was armed with") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair idle = make_unix_pair();
    const Pair busy = make_unix_pair();
    monitor.arm(idle.a.get(), kFirst, Events::kIn, Trigger::kOneShot);
    monitor.arm(busy.a.get(), {.slot = 7, .generation = 0xfedcba98}, Events::kIn,
                Trigger::kOneShot);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    write_all(busy.b, "x");
    CHECK(watcher.next_of({.slot = 7, .generation = 0xfedcba98}) == Events::kIn);
  });
}

TEST_CASE("a wait appends to what its caller has collected") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd event = make_eventfd(1);
    monitor.arm(event.get(), kFirst, Events::kIn, Trigger::kOneShot);
    std::vector<FdEvent> ready{{.key = kThird, .events = Events::kOut}};
    REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
    REQUIRE(ready.size() == 2);
    CHECK(ready.front().key == kThird);
    CHECK(ready.back().key == kFirst);
  });
}

// One of several waits may end early, because the kernel still works for a ring of an earlier test.
// If the monitor rounds the timeout down, all of them end early.
TEST_CASE("a wait does not end before its timeout when nothing is ready") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd event = make_eventfd(0);
    monitor.arm(event.get(), kFirst, Events::kIn, Trigger::kOneShot);
    for (const auto timeout : {std::chrono::nanoseconds(1), std::chrono::nanoseconds(200'001)}) {
      std::chrono::nanoseconds longest{0};
      for (int i = 0; i < 10 && longest < timeout; ++i) {
        std::vector<FdEvent> ready;
        const auto begin = std::chrono::steady_clock::now();
        REQUIRE(monitor.wait(timeout, ready).ok());
        longest =
            std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - begin);
        CHECK(ready.empty());
      }
      CHECK(longest >= timeout);
    }
  });
}

TEST_CASE("a wait without watches sleeps for its timeout") {
  on_every_back_end([](FdMonitor& monitor) {
    std::vector<FdEvent> ready;
    REQUIRE(monitor.wait(std::chrono::microseconds(10), ready).ok());
    CHECK(ready.empty());
  });
}

TEST_CASE("a sleeping wait is ended by what another thread does") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kFirst, Events::kIn, Trigger::kOneShot);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    std::thread other([&] { write_all(pair.b, "x"); });
    CHECK(watcher.next_of(kFirst) == Events::kIn);
    other.join();
  });
}

TEST_CASE("a signal ends a wait early, and costs no event") {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd event = make_eventfd(0);
    monitor.arm(event.get(), kFirst, Events::kIn, Trigger::kOneShot);
    std::atomic<bool> done = false;
    const pthread_t sleeper = pthread_self();
    std::thread other([&] {
      while (!done.load(std::memory_order_relaxed)) {  // carries no data
        pthread_kill(sleeper, SIGUSR1);
        std::this_thread::yield();
      }
    });
    std::vector<FdEvent> ready;
    const absl::Status status = monitor.wait(std::chrono::minutes(1), ready);
    done.store(true, std::memory_order_relaxed);
    other.join();
    CHECK(status.ok());
    CHECK(ready.empty());
    REQUIRE(write(event.get(), "\1\0\0\0\0\0\0\0", 8) == 8);
    CHECK(Watcher(monitor).next_of(kFirst) == Events::kIn);
  });
}

TEST_CASE("arming again under the same key replaces the interest") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
      const Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = trigger == Trigger::kLevel ? 2U : 1U};
      Watcher watcher(monitor);
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      CHECK(watcher.quiet());
      monitor.arm(pair.a.get(), key, Events::kIn | Events::kOut, trigger);
      CHECK(watcher.next_of(key) == Events::kOut);
      write_all(pair.b, "x");
      monitor.arm(pair.a.get(), key, Events::kIn | Events::kOut, trigger);
      CHECK(watcher.next_of(key) == (Events::kIn | Events::kOut));
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      CHECK(watcher.next_of(key) == Events::kIn);
      monitor.disarm(key);
    }
  });
}

TEST_CASE("an interest that is emptied is silent, hang-up included, until it is filled again") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
      Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = trigger == Trigger::kLevel ? 2U : 1U};
      Watcher watcher(monitor);
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      CHECK(watcher.quiet());
      monitor.arm(pair.a.get(), key, Events::kNone, trigger);
      pair.b.reset();
      CHECK(watcher.quiet());
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      CHECK(watcher.next_of(key) == (Events::kIn | Events::kHangUp));
      monitor.disarm(key);
    }
  });
}

TEST_CASE("nothing is reported of a key that is disarmed") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge}) {
      const Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = 1 + static_cast<std::uint32_t>(trigger)};
      Watcher watcher(monitor);
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      CHECK(watcher.quiet());
      write_all(pair.b, "x");
      monitor.disarm(key);
      CHECK(watcher.quiet());
    }
  });
}

TEST_CASE("disarming tolerates a key that is unknown, dead, or of another generation") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd event = make_eventfd(1);
    monitor.disarm({.slot = 1000, .generation = 1});
    monitor.arm(event.get(), {.slot = 0, .generation = 2}, Events::kIn, Trigger::kOneShot);
    monitor.disarm({.slot = 0, .generation = 1});
    monitor.want({.slot = 0, .generation = 1}, Events::kIn);
    CHECK(Watcher(monitor).next_of({.slot = 0, .generation = 2}) == Events::kIn);
    monitor.disarm({.slot = 0, .generation = 2});
    monitor.disarm({.slot = 0, .generation = 2});
    CHECK(Watcher(monitor).quiet());
  });
}

TEST_CASE("a slot that gets a new generation reports the new descriptor only") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const bool disarmed : {true, false}) {
      const UniqueFd old_one = make_eventfd(0);
      const UniqueFd new_one = make_eventfd(0);
      const Key old_key{.slot = 0, .generation = disarmed ? 1U : 3U};
      const Key new_key{.slot = 0, .generation = disarmed ? 2U : 4U};
      Watcher watcher(monitor);
      monitor.arm(old_one.get(), old_key, Events::kIn, Trigger::kLevel);
      CHECK(watcher.quiet());
      write_all(old_one, {"\1\0\0\0\0\0\0\0", 8});
      if (disarmed) {
        monitor.disarm(old_key);
      }
      monitor.arm(new_one.get(), new_key, Events::kIn, Trigger::kLevel);
      CHECK(watcher.quiet());
      write_all(new_one, {"\1\0\0\0\0\0\0\0", 8});
      CHECK(watcher.next_of(new_key) == Events::kIn);
      monitor.disarm(new_key);
    }
  });
}

TEST_CASE("a descriptor may change its slot between two waits") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd event = make_eventfd(0);
    const UniqueFd other = make_eventfd(0);
    Watcher watcher(monitor);
    monitor.arm(event.get(), kFirst, Events::kIn, Trigger::kLevel);
    CHECK(watcher.quiet());
    // The list of changes has the removal after the slot that takes the descriptor over.
    monitor.arm(other.get(), kSecond, Events::kIn, Trigger::kLevel);
    monitor.disarm(kSecond);
    monitor.disarm(kFirst);
    monitor.arm(event.get(), {.slot = 1, .generation = 2}, Events::kIn, Trigger::kLevel);
    CHECK(watcher.quiet());
    write_all(event, {"\1\0\0\0\0\0\0\0", 8});
    CHECK(watcher.next_of({.slot = 1, .generation = 2}) == Events::kIn);
  });
}

TEST_CASE("watches may be armed and disarmed while a batch is dispatched") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : kAllTriggers) {
      const std::uint32_t generation = 1 + static_cast<std::uint32_t>(trigger);
      const Pair pairs[] = {make_unix_pair(), make_unix_pair(), make_unix_pair()};
      for (std::uint32_t slot = 0; slot < 3; ++slot) {
        monitor.arm(pairs[slot].a.get(), {slot, generation}, Events::kIn, trigger);
        monitor.want({slot, generation}, Events::kIn);
        write_all(pairs[slot].b, "x");
      }
      Watcher watcher(monitor);
      const std::vector<FdEvent> batch = watcher.next();  // may be a part of the ready watches
      for (std::uint32_t slot = 0; slot < 2; ++slot) {
        monitor.disarm({slot, generation});
        write_all(pairs[slot].b, "x");
      }
      monitor.disarm({2, generation});
      const Key again{2, generation + 100};
      monitor.arm(pairs[2].a.get(), again, Events::kIn, trigger);
      monitor.want(again, Events::kIn);
      CHECK_FALSE(batch.empty());
      CHECK(watcher.next_of(again) == Events::kIn);
      monitor.disarm(again);
      CHECK(watcher.quiet());
    }
  });
}

TEST_CASE("a live key that is armed with another descriptor or trigger ends the program") {
  static constexpr char kSentence[] =
      "a watch is armed again with another descriptor or trigger: disarm it first";
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd one = make_eventfd(0);
    const UniqueFd two = make_eventfd(0);
    for (const Trigger trigger : kAllTriggers) {
      const Key key{.slot = 0, .generation = 1 + static_cast<std::uint32_t>(trigger)};
      monitor.arm(one.get(), key, Events::kIn, trigger);
      CHECK(absl::StrContains(
          abort_message([&] { monitor.arm(two.get(), key, Events::kIn, trigger); }), kSentence));
      for (const Trigger another : kAllTriggers) {
        if (another != trigger) {
          CHECK(absl::StrContains(
              abort_message([&] { monitor.arm(one.get(), key, Events::kIn, another); }),
              kSentence));
        }
      }
    }
  });
}

TEST_CASE("peek never says that nothing is ready when a wait would report something") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd event = make_eventfd(1);
    monitor.arm(event.get(), kFirst, Events::kIn, Trigger::kOneShot);
    CHECK(monitor.peek() != Peek::kNothing);
    Watcher watcher(monitor);
    CHECK(watcher.next_of(kFirst) == Events::kIn);
    CHECK(watcher.quiet());
    CHECK(monitor.peek() != Peek::kReady);
    REQUIRE(read(event.get(), std::vector<char>(8).data(), 8) == 8);
    monitor.arm(event.get(), kFirst, Events::kIn, Trigger::kOneShot);
    CHECK(watcher.quiet());
    CHECK(monitor.peek() != Peek::kReady);
    write_all(event, {"\1\0\0\0\0\0\0\0", 8});
    CHECK(monitor.peek() != Peek::kNothing);
  });
}

// Waits ten seconds at most, or not at all. A signal may interrupt the wait.
bool readable(int fd, int milliseconds) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  int count = poll(&entry, 1, milliseconds);
  while (count < 0 && errno == EINTR) {
    count = poll(&entry, 1, milliseconds);
  }
  return count == 1;
}

TEST_CASE("the pollable descriptor is readable while a wait would report something") {
  constexpr int kPatience = 10'000;
  on_every_back_end([](FdMonitor& monitor) {
    // An eventfd, too, because it wakes a context, and because the kernel treats it differently.
    const Pair sockets = make_unix_pair();
    const UniqueFd event = make_eventfd(0);
    const absl::StatusOr<int> pollable = monitor.pollable_fd();
    if (absl::IsUnimplemented(pollable.status())) {
      return;  // ppoll
    }
    REQUIRE(pollable.ok());
    Watcher watcher(monitor);
    for (int i = 0; i < 4; ++i) {
      monitor.arm(sockets.a.get(), kFirst, Events::kIn, Trigger::kOneShot);
      monitor.arm(event.get(), kSecond, Events::kIn, Trigger::kOneShot);
      CHECK(watcher.quiet());
      CHECK_FALSE(readable(*pollable, 0));
      const UniqueFd& written = i % 2 == 0 ? event : sockets.b;
      std::thread other([&] { write_all(written, {"\1\0\0\0\0\0\0\0", 8}); });
      CHECK(readable(*pollable, kPatience));
      other.join();
      CHECK(watcher.next_of(i % 2 == 0 ? kSecond : kFirst) == Events::kIn);
      read_all(i % 2 == 0 ? event : sockets.a);
      write_all(event, {"\1\0\0\0\0\0\0\0", 8});
      monitor.arm(event.get(), kSecond, Events::kIn, Trigger::kOneShot);
      CHECK(watcher.next_of(kSecond) == Events::kIn);
      read_all(event);
    }
    CHECK(*monitor.pollable_fd() == *pollable);
  });
}

TEST_CASE(
    "watches that were armed before the pollable descriptor was asked for are heard through it") {
  constexpr int kPatience = 10'000;
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge}) {
      const Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = 1 + static_cast<std::uint32_t>(trigger)};
      monitor.arm(pair.a.get(), key, kAllDirections & ~Events::kOut, trigger);
      monitor.want(key, Events::kIn);
      Watcher watcher(monitor);
      CHECK(watcher.quiet());
      const absl::StatusOr<int> pollable = monitor.pollable_fd();
      if (absl::IsUnimplemented(pollable.status())) {
        return;  // ppoll
      }
      CHECK(watcher.quiet());
      write_all(pair.b, "x");
      CHECK(readable(*pollable, kPatience));
      CHECK(any(watcher.next_of(key) & Events::kIn));
      monitor.disarm(key);
    }
  });
}

}  // namespace
}  // namespace coaio::testing
