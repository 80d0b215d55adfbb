// The contract of FdMonitor: closed descriptors, and descriptors that the kernel uses again.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/back_ends.h"
#include "tests/support/child.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/watcher.h"

namespace coaio::testing {
namespace {

// Runs the clause on a new monitor of each back end, with each trigger.
void on_all(const std::function<void(FdMonitor&, Trigger)>& clause) {
  for (const Trigger trigger : kAllTriggers) {
    CAPTURE(static_cast<int>(trigger));
    on_every_back_end([&](FdMonitor& monitor) { clause(monitor, trigger); });
  }
}

constexpr Key kKey{.slot = 0, .generation = 1};
constexpr Key kOther{.slot = 1, .generation = 1};

void arm_and_want(FdMonitor& monitor, int fd, Key key, Events interest, Trigger trigger) {
  monitor.arm(fd, key, interest, trigger);
  if (trigger == Trigger::kEdge) {
    monitor.want(key, interest);
  }
}

// Closes `fd`, and makes the descriptor refer to another file.
void reuse_number(int fd, const UniqueFd& other) {
  REQUIRE(dup3(other.get(), fd, O_CLOEXEC) == fd);
}

// --- disarmed -----------------------------------------------------------------------------------

TEST_CASE("a peer sees end of file with the first wait after its watch was disarmed and closed") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    std::uint32_t generation = 0;
    for (const bool pending_event : {false, true}) {
      Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = ++generation};
      arm_and_want(monitor, pair.a.get(), key, Events::kIn, trigger);
      Watcher watcher(monitor);
      watcher.settle();
      if (pending_event) {
        write_all(pair.b, "x");
      }
      monitor.disarm(key);
      pair.a.reset();
      std::vector<FdEvent> ready;
      REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
      CHECK(ready.empty());
      char byte = 0;
      const ssize_t result = recv(pair.b.get(), &byte, 1, 0);
      CHECK(result <= 0);  // an unread byte turns end of file into ECONNRESET
      CHECK((result == 0 || errno == ECONNRESET));
    }
  });
}

TEST_CASE("a closed descriptor whose file lives on is no source of endless reports") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    const Pair other = make_unix_pair();
    Pair pair = make_unix_pair();
    const UniqueFd twin = checked(dup(pair.a.get()));
    arm_and_want(monitor, pair.a.get(), kKey, Events::kIn, trigger);
    arm_and_want(monitor, other.a.get(), kOther, Events::kIn, trigger);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    pair.a.reset();
    monitor.disarm(kKey);
    write_all(pair.b, "x");
    CHECK(watcher.drain().empty());
    CHECK(watcher.quiet());
    write_all(other.b, "x");
    CHECK(watcher.next_of(kOther) == Events::kIn);
  });
}

TEST_CASE("a closed descriptor whose file lives on in a child is no source of endless reports") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    const Pair other = make_unix_pair();
    Pair pair = make_unix_pair();
    arm_and_want(monitor, pair.a.get(), kKey, Events::kIn, trigger);
    arm_and_want(monitor, other.a.get(), kOther, Events::kIn, trigger);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    const IdleChild child;
    pair.a.reset();
    monitor.disarm(kKey);
    write_all(pair.b, "x");
    CHECK(watcher.drain().empty());
    CHECK(watcher.quiet());
    write_all(other.b, "x");
    CHECK(watcher.next_of(kOther) == Events::kIn);
  });
}

TEST_CASE("two numbers of one file are two watches") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    const Pair pair = make_unix_pair();
    const UniqueFd twin = checked(dup(pair.a.get()));
    arm_and_want(monitor, pair.a.get(), kKey, Events::kIn, trigger);
    arm_and_want(monitor, twin.get(), kOther, Events::kOut, trigger);
    Watcher watcher(monitor);
    CHECK(watcher.next_of(kOther) == Events::kOut);
    monitor.disarm(kOther);
    CHECK(watcher.quiet());
    write_all(pair.b, "x");
    CHECK(watcher.next_of(kKey) == Events::kIn);
    monitor.disarm(kKey);
    arm_and_want(monitor, twin.get(), {.slot = 1, .generation = 2}, Events::kIn, trigger);
    CHECK(watcher.next_of({.slot = 1, .generation = 2}) == Events::kIn);
  });
}

// --- settled ------------------------------------------------------------------------------------

TEST_CASE("a file is closed by close(2), without another wait, once its watch has been settled") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    std::uint32_t generation = 0;
    for (const bool submitted : {false, true}) {
      for (const bool pending_event : {false, true}) {
        Pair pair = make_unix_pair();
        const Key key{.slot = 0, .generation = ++generation};
        arm_and_want(monitor, pair.a.get(), key, Events::kIn, trigger);
        if (submitted) {
          Watcher(monitor).settle();
        }
        if (pending_event) {
          write_all(pair.b, "x");
        }
        monitor.disarm(key);
        monitor.settle();
        pair.a.reset();
        CHECK(has_hung_up(pair.b));
      }
    }
    CHECK(Watcher(monitor).quiet());
  });
}

TEST_CASE("the read end of a pipe is closed by close(2) once its watch has been settled") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    Pair pipe = make_pipe();
    arm_and_want(monitor, pipe.a.get(), kKey, Events::kIn, trigger);
    Watcher(monitor).settle();
    CHECK(!has_hung_up(pipe.b));
    monitor.disarm(kKey);
    monitor.settle();
    pipe.a.reset();
    CHECK(has_hung_up(pipe.b));
  });
}

// A new generation of a slot ends the watch of the old generation.
TEST_CASE("a watch that another key of its slot has replaced is settled as if it were disarmed") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    Pair pair = make_unix_pair();
    const Pair other = make_unix_pair();
    arm_and_want(monitor, pair.a.get(), kKey, Events::kIn, trigger);
    Watcher watcher(monitor);
    watcher.settle();
    const Key next{.slot = kKey.slot, .generation = kKey.generation + 1};
    arm_and_want(monitor, other.a.get(), next, Events::kIn, trigger);
    monitor.settle();
    pair.a.reset();
    CHECK(has_hung_up(pair.b));
    write_all(other.b, "x");
    CHECK(watcher.next_of(next) == Events::kIn);
  });
}

TEST_CASE("settling reports nothing and forgets no event of another watch") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    Pair pair = make_unix_pair();
    const Pair other = make_unix_pair();
    arm_and_want(monitor, pair.a.get(), kKey, Events::kIn, trigger);
    arm_and_want(monitor, other.a.get(), kOther, Events::kIn, trigger);
    Watcher watcher(monitor);
    watcher.settle();
    write_all(pair.b, "x");
    write_all(other.b, "x");
    monitor.disarm(kKey);
    monitor.settle();
    CHECK(monitor.peek() != Peek::kNothing);
    CHECK(watcher.next_of(kOther) == Events::kIn);
    read_all(other.a);
    CHECK(watcher.quiet());
  });
}

TEST_CASE("an event that came while another watch was settled dies with its own watch") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    Pair pairs[] = {make_unix_pair(), make_unix_pair()};
    arm_and_want(monitor, pairs[0].a.get(), kKey, Events::kIn, trigger);
    arm_and_want(monitor, pairs[1].a.get(), kOther, Events::kIn, trigger);
    Watcher watcher(monitor);
    watcher.settle();
    for (Pair& pair : pairs) {
      write_all(pair.b, "x");
    }
    monitor.disarm(kKey);
    monitor.settle();
    monitor.disarm(kOther);
    monitor.settle();
    for (Pair& pair : pairs) {
      pair.a.reset();
      CHECK(has_hung_up(pair.b));
    }
    CHECK(watcher.quiet());
  });
}

TEST_CASE("one call settles many watches, with events and without") {
  constexpr std::uint32_t kCount = 700;
  if (!allow_descriptors(2 * kCount + 100)) {
    return report_skipped("RLIMIT_NOFILE allows fewer than 1,500 descriptors");
  }
  on_all([&](FdMonitor& monitor, Trigger trigger) {
    std::vector<Pair> pairs;
    for (std::uint32_t slot = 0; slot < kCount; ++slot) {
      pairs.push_back(make_unix_pair());
      arm_and_want(monitor, pairs.back().a.get(), {slot, 1}, Events::kIn, trigger);
    }
    Watcher watcher(monitor);
    watcher.settle();
    for (std::uint32_t slot = 0; slot < kCount; ++slot) {
      if (slot % 3 == 0) {
        write_all(pairs[slot].b, "x");
      }
      monitor.disarm({slot, 1});
    }
    monitor.settle();
    std::uint32_t hung_up = 0;
    for (Pair& pair : pairs) {
      pair.a.reset();
      hung_up += has_hung_up(pair.b) ? 1 : 0;
    }
    CHECK(hung_up == kCount);
    CHECK(watcher.quiet());
  });
}

// A poll request reports read-hang-up even if it does not ask for it. A watch for output on such a
// socket therefore needs a request that stays in flight after its report.
TEST_CASE("a one-shot watch that was reported holds no file, also on a half-closed socket") {
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    fill(pair.a);
    REQUIRE(shutdown(pair.b.get(), SHUT_WR) == 0);
    Watcher watcher(monitor);
    monitor.arm(pair.a.get(), kKey, Events::kOut, Trigger::kOneShot);
    CHECK(watcher.quiet());
    read_all(pair.b);
    CHECK(any(watcher.next_of(kKey) & Events::kOut));
    pair.a.reset();
    CHECK(has_hung_up(pair.b));
  });
}

TEST_CASE("a monitor that is destroyed holds no file") {
  for (const Trigger trigger : kAllTriggers) {
    for (const BackEnd& back_end : all_back_ends()) {
      absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = back_end.make();
      if (!monitor.ok()) {
        continue;
      }
      INFO("back end: ", back_end.name);
      Pair pairs[] = {make_unix_pair(), make_unix_pair()};
      arm_and_want(**monitor, pairs[0].a.get(), kKey, Events::kIn, trigger);
      arm_and_want(**monitor, pairs[1].a.get(), kOther, Events::kIn, trigger);
      Watcher(**monitor).settle();
      write_all(pairs[0].b, "x");
      monitor->reset();
      for (Pair& pair : pairs) {
        pair.a.reset();
        CHECK(has_hung_up(pair.b));
      }
    }
  }
}

TEST_CASE("a forked child of a monitor's process keeps no file open that was watched afterwards") {
  for (const BackEnd& back_end : all_back_ends()) {
    absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = back_end.make();
    if (!monitor.ok()) {
      continue;
    }
    INFO("back end: ", back_end.name);
    Watcher(**monitor).settle();
    const IdleChild child;
    Pair pairs[] = {make_unix_pair(), make_unix_pair()};
    arm_and_want(**monitor, pairs[0].a.get(), kKey, Events::kIn, Trigger::kEdge);
    arm_and_want(**monitor, pairs[1].a.get(), kOther, Events::kIn, Trigger::kEdge);
    Watcher(**monitor).settle();
    (*monitor)->disarm(kKey);
    (*monitor)->settle();
    pairs[0].a.reset();
    CHECK(has_hung_up(pairs[0].b));
    monitor->reset();
    pairs[1].a.reset();
    CHECK(has_hung_up(pairs[1].b));
  }
}

TEST_CASE("a monitor that is destroyed in a forked child leaves the parent's watches alone") {
  for (const BackEnd& back_end : all_back_ends()) {
    absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = back_end.make();
    if (!monitor.ok()) {
      continue;
    }
    INFO("back end: ", back_end.name);
    const Pair pair = make_unix_pair();
    arm_and_want(**monitor, pair.a.get(), kKey, Events::kIn, Trigger::kEdge);
    Watcher watcher(**monitor);
    watcher.settle();
    CHECK(run_in_child([&]() -> std::string {
            monitor->reset();
            return "destroyed";
          }) == "destroyed");
    write_all(pair.b, "x");
    CHECK(any(watcher.next_of(kKey) & Events::kIn));
  }
}

// --- not disarmed -------------------------------------------------------------------------------

TEST_CASE(
    "a watch that changes after its number was closed, while its file lives on, falls silent") {
  for (const Events change : {Events::kNone, Events::kIn | Events::kPriority}) {
    on_all([change](FdMonitor& monitor, Trigger trigger) {
      Pair pair = make_unix_pair();
      const UniqueFd twin = checked(dup(pair.a.get()));
      const int number = pair.a.get();
      arm_and_want(monitor, number, kKey, Events::kIn, trigger);
      Watcher watcher(monitor);
      CHECK(watcher.quiet());
      pair.a.reset();
      arm_and_want(monitor, number, kKey, change, trigger);
      write_all(pair.b, "x");
      for (const FdEvent& ready : watcher.drain()) {
        CHECK(ready.key == kKey);
        CHECK(ready.events == Events::kInvalid);
      }
      CHECK(watcher.quiet());
    });
  }
}

TEST_CASE("a file without readiness that is closed without disarming is reported a last time") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    UniqueFd file = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    arm_and_want(monitor, file.get(), kKey, Events::kIn, trigger);
    Watcher watcher(monitor);
    CHECK(watcher.next_of(kKey) == Events::kIn);
    file.reset();
    watcher.settle();
    CHECK(watcher.quiet());
  });
}

// --- after the monitor's thread has ended -------------------------------------------------------

// Arms `fd` on a thread of its own, and returns after that thread has ended.
void arm_on_a_thread(FdMonitor& monitor, int fd, Trigger trigger) {
  std::thread thread([&] {
    arm_and_want(monitor, fd, kKey, Events::kIn, trigger);
    std::vector<FdEvent> ready;
    REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
    CHECK(ready.empty());
  });
  thread.join();
}

bool is_at_end(const UniqueFd& fd) {
  char byte = 0;
  return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

TEST_CASE("a descriptor whose watch is disarmed after the thread has ended closes at once") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    Pair pair = make_unix_pair();
    arm_on_a_thread(monitor, pair.a.get(), trigger);
    monitor.disarm(kKey);
    monitor.settle();
    pair.a.reset();
    CHECK(is_at_end(pair.b));
  });
}

TEST_CASE("a descriptor of a monitor that is destroyed after its thread has ended closes at once") {
  for (const BackEnd& back_end : all_back_ends()) {
    CAPTURE(back_end.name);
    for (const Trigger trigger : kAllTriggers) {
      absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = back_end.make();
      if (!monitor.ok()) {
        continue;  // the contract test reports it
      }
      Pair pair = make_unix_pair();
      arm_on_a_thread(**monitor, pair.a.get(), trigger);
      monitor->reset();
      pair.a.reset();
      CHECK(is_at_end(pair.b));
    }
  }
}

TEST_CASE("a monitor that thread-locals use until the thread ends leaves no file open") {
  // Constructed before the thread's first wait(), and so destroyed after each thread-local object
  // that this call constructs.
  struct WaitsAtTheEnd {
    FdMonitor* monitor = nullptr;
    int fd = -1;
    ~WaitsAtTheEnd() {
      if (monitor != nullptr) {
        monitor->arm(fd, kOther, Events::kIn, Trigger::kOneShot);
        std::vector<FdEvent> ready;
        static_cast<void>(monitor->wait(std::chrono::nanoseconds(0), ready));
      }
    }
  };
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    const Pair other = make_unix_pair();
    std::thread thread([&] {
      static thread_local WaitsAtTheEnd at_the_end;
      at_the_end = {.monitor = &monitor, .fd = pair.a.get()};
      monitor.arm(other.a.get(), kKey, Events::kIn, Trigger::kOneShot);
      std::vector<FdEvent> ready;
      CHECK(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
    });
    thread.join();
    monitor.disarm(kOther);
    monitor.settle();
    pair.a.reset();
    CHECK(is_at_end(pair.b));
  });
}

// --- descriptors that are used again ------------------------------------------------------------

TEST_CASE("a number that is used again at once reports the new file, under the new key") {
  on_all([](FdMonitor& monitor, Trigger trigger) {
    for (const bool disarmed : {true, false}) {
      for (const bool same_slot : {true, false}) {
        const Pair first = make_unix_pair();
        const Pair second = make_unix_pair();
        const int number = first.a.get();
        const std::uint32_t generation = disarmed ? 1 : 3;
        const Key old_key{.slot = 0, .generation = generation};
        const Key new_key{.slot = same_slot ? 0U : 1U, .generation = generation + 1};
        Watcher watcher(monitor);
        arm_and_want(monitor, number, old_key, Events::kIn, trigger);
        CHECK(watcher.quiet());
        write_all(first.b, "x");
        if (disarmed) {
          monitor.disarm(old_key);
        }
        reuse_number(number, second.a);
        arm_and_want(monitor, number, new_key, Events::kIn, trigger);
        for (const FdEvent& ready : watcher.drain()) {
          CHECK(ready.key != new_key);
        }
        // A late removal of the old key leaves the new one alone.
        monitor.disarm(old_key);
        write_all(second.b, "y");
        CHECK(watcher.next_of(new_key) == Events::kIn);
        if (trigger == Trigger::kLevel) {
          CHECK(watcher.next_of(new_key) == Events::kIn);
        } else {
          CHECK(watcher.quiet());
        }
        monitor.disarm(new_key);
        CHECK(watcher.quiet());
      }
    }
  });
}

// Only the key whose owner closed without a disarm may lose events.
TEST_CASE("a watch hears of its descriptor though an older watch, never disarmed, had the number") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd number = checked(open("/dev/zero", O_RDWR | O_CLOEXEC));
    const UniqueFd event = make_eventfd(0);
    Watcher watcher(monitor);
    monitor.arm(number.get(), kOther, Events::kIn, Trigger::kLevel);
    CHECK(watcher.next_of(kOther) == Events::kIn);
    reuse_number(number.get(), event);
    monitor.arm(number.get(), kKey, Events::kIn, Trigger::kOneShot);
    std::vector<FdEvent> ready;
    REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
    CHECK(count_of(ready, kKey) == 0);
    monitor.disarm(kOther);
    CHECK(watcher.quiet());
    write_all(event, {"\1\0\0\0\0\0\0\0", 8});
    CHECK(watcher.next_of(kKey) == Events::kIn);
  });
}

// A report of a dead key makes the epoll back end register all watches again, in the order of
// slots.
TEST_CASE("a watch whose number an older one had hears of it after another file was left behind") {
  on_every_back_end([](FdMonitor& monitor) {
    constexpr Key kOld{.slot = 9, .generation = 1};
    const UniqueFd file = make_eventfd(0);
    const UniqueFd left_behind = make_eventfd(0);
    const UniqueFd event = make_eventfd(0);
    const UniqueFd number = checked(dup(file.get()));
    UniqueFd twin = checked(dup(left_behind.get()));
    Watcher watcher(monitor);
    monitor.arm(number.get(), kOld, Events::kIn, Trigger::kLevel);
    monitor.arm(twin.get(), kKey, Events::kIn, Trigger::kLevel);
    CHECK(watcher.quiet());
    reuse_number(number.get(), event);
    monitor.arm(number.get(), kOther, Events::kIn, Trigger::kOneShot);
    CHECK(watcher.quiet());
    monitor.disarm(kKey);
    twin.reset();
    write_all(left_behind, {"\1\0\0\0\0\0\0\0", 8});
    CHECK(events_of(watcher.drain(), kOther) == Events::kNone);
    monitor.disarm(kOld);
    CHECK(watcher.quiet());
    write_all(event, {"\1\0\0\0\0\0\0\0", 8});
    CHECK(watcher.next_of(kOther) == Events::kIn);
  });
}

// A one-shot watch ends with its report. Its owner may therefore close the descriptor without a
// disarm, and arm the next file with this descriptor under the same key.
TEST_CASE("a number goes from a file without readiness to a silent socket, under one key") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd file = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    const Pair pair = make_unix_pair();
    Watcher watcher(monitor);
    monitor.arm(file.get(), kKey, Events::kIn, Trigger::kOneShot);
    CHECK(watcher.next_of(kKey) == Events::kIn);
    reuse_number(file.get(), pair.a);
    monitor.arm(file.get(), kKey, Events::kIn, Trigger::kOneShot);
    CHECK(watcher.quiet());
    write_all(pair.b, "x");
    CHECK(watcher.next_of(kKey) == Events::kIn);
  });
}

TEST_CASE("a number goes from a socket to a file without readiness, under one key") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd file = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    const Pair pair = make_unix_pair();
    Watcher watcher(monitor);
    write_all(pair.b, "x");
    monitor.arm(pair.a.get(), kKey, Events::kIn, Trigger::kOneShot);
    CHECK(watcher.next_of(kKey) == Events::kIn);
    reuse_number(pair.a.get(), file);
    for (int i = 0; i < 2; ++i) {
      monitor.arm(pair.a.get(), kKey, Events::kOut, Trigger::kOneShot);
      CHECK(watcher.next_of(kKey) == Events::kOut);
      CHECK(watcher.quiet());
    }
  });
}

}  // namespace
}  // namespace coaio::testing
