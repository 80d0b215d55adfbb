// The contract of FdMonitor: kinds of descriptors, and many descriptors. Closed descriptors are in
// closing_contract_test.cc.

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

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

constexpr Key kKey{.slot = 0, .generation = 1};
constexpr Key kNext{.slot = 0, .generation = 2};
constexpr Events kBoth = Events::kIn | Events::kOut;

// --- kinds --------------------------------------------------------------------------------------

std::vector<UniqueFd> make_unpollables() {
  std::vector<UniqueFd> files;
  files.push_back(checked(open("/dev/null", O_RDWR | O_CLOEXEC)));
  files.push_back(checked(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  files.push_back(checked(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)));
  files.push_back(checked(memfd_create("regular", MFD_CLOEXEC)));
  return files;
}

TEST_CASE("a file without readiness is ready at once, for each of the triggers") {
  on_every_back_end([](FdMonitor& monitor) {
    std::uint32_t generation = 0;
    for (const UniqueFd& file : make_unpollables()) {
      for (const Trigger trigger : kAllTriggers) {
        const Key key{.slot = 0, .generation = ++generation};
        Watcher watcher(monitor);
        monitor.arm(file.get(), key, kBoth, trigger);
        monitor.want(key, kBoth);
        CHECK(watcher.next_of(key) == kBoth);
        if (trigger == Trigger::kLevel) {
          CHECK(watcher.next_of(key) == kBoth);
        } else {
          CHECK(watcher.quiet());
        }
        if (trigger == Trigger::kEdge) {
          monitor.want(key, Events::kIn);
        } else {
          monitor.arm(file.get(), key, Events::kIn, trigger);
        }
        CHECK(any(watcher.next_of(key) & Events::kIn));
        monitor.disarm(key);
        CHECK(watcher.quiet());
      }
    }
  });
}

TEST_CASE("a file without readiness has nothing urgent and no peer") {
  on_every_back_end([](FdMonitor& monitor) {
    std::uint32_t generation = 0;
    for (const UniqueFd& file : make_unpollables()) {
      for (const Trigger trigger : kAllTriggers) {
        for (const Events interest : {Events::kPriority, Events::kReadHangUp}) {
          const Key key{.slot = 0, .generation = ++generation};
          monitor.arm(file.get(), key, interest, trigger);
          monitor.want(key, interest);
          Watcher watcher(monitor);
          watcher.settle();
          CHECK(watcher.quiet());
          monitor.disarm(key);
        }
      }
    }
  });
}

TEST_CASE("of a file without readiness, an edge reports no direction that was not armed") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd file = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    monitor.arm(file.get(), kKey, Events::kIn, Trigger::kEdge);
    monitor.want(kKey, Events::kIn);
    Watcher watcher(monitor);
    CHECK(watcher.next_of(kKey) == Events::kIn);
    monitor.want(kKey, Events::kOut);
    CHECK(watcher.quiet());
  });
}

TEST_CASE("a slot goes from a file without readiness to one with it") {
  on_every_back_end([](FdMonitor& monitor) {
    const UniqueFd file = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    const Pair pair = make_unix_pair();
    Watcher watcher(monitor);
    monitor.arm(file.get(), kKey, Events::kIn, Trigger::kLevel);
    CHECK(watcher.next_of(kKey) == Events::kIn);
    monitor.disarm(kKey);
    monitor.arm(pair.a.get(), kNext, Events::kIn, Trigger::kLevel);
    CHECK(watcher.quiet());
    write_all(pair.b, "x");
    CHECK(watcher.next_of(kNext) == Events::kIn);
  });
}

TEST_CASE("signals, timers, processes and other monitors can be watched") {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  REQUIRE(sigprocmask(SIG_BLOCK, &signals, nullptr) == 0);
  on_every_back_end([&](FdMonitor& monitor) {
    const UniqueFd signal = checked(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    const UniqueFd timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    const UniqueFd inner = checked(epoll_create1(EPOLL_CLOEXEC));
    const UniqueFd event = make_eventfd(0);
    epoll_event interest{.events = EPOLLIN, .data = {}};
    REQUIRE(epoll_ctl(inner.get(), EPOLL_CTL_ADD, event.get(), &interest) == 0);
    const UniqueFd process = checked(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
    Watcher watcher(monitor);
    monitor.arm(signal.get(), {.slot = 0}, Events::kIn, Trigger::kOneShot);
    monitor.arm(timer.get(), {.slot = 1}, Events::kIn, Trigger::kOneShot);
    monitor.arm(inner.get(), {.slot = 2}, Events::kIn, Trigger::kOneShot);
    monitor.arm(process.get(), {.slot = 3}, Events::kIn, Trigger::kOneShot);
    CHECK(watcher.quiet());

    REQUIRE(raise(SIGUSR2) == 0);
    CHECK(watcher.next_of({.slot = 0}) == Events::kIn);
    signalfd_siginfo info{};
    REQUIRE(read(signal.get(), &info, sizeof info) == sizeof info);
    const itimerspec soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 1}};
    REQUIRE(timerfd_settime(timer.get(), 0, &soon, nullptr) == 0);
    CHECK(watcher.next_of({.slot = 1}) == Events::kIn);
    write_all(event, {"\1\0\0\0\0\0\0\0", 8});
    CHECK(watcher.next_of({.slot = 2}) == Events::kIn);
  });
}

TEST_CASE("a number that is no open file is reported as invalid, once") {
  on_every_back_end([](FdMonitor& monitor) {
    std::uint32_t generation = 0;
    for (const Trigger trigger : kAllTriggers) {
      int closed = make_eventfd(0).get();  // closed by the end of this statement
      const Key key{.slot = 0, .generation = ++generation};
      monitor.arm(closed, key, Events::kIn, trigger);
      monitor.want(key, Events::kIn);
      Watcher watcher(monitor);
      CHECK(watcher.next_of(key) == Events::kInvalid);
      monitor.want(key, Events::kIn);
      CHECK(watcher.quiet());
      monitor.disarm(key);
    }
  });
}

// --- a file whose poll function clears the change that it reports -------------------------------

// Returns the events of this key, by waits that do not sleep: the change is visible when mount(2)
// returns.
Events seen_now(FdMonitor& monitor, Key key) {
  constexpr int kEnough = 20;
  std::vector<FdEvent> ready;
  for (int i = 0; i < kEnough; ++i) {
    REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
  }
  return events_of(ready, key);
}

// Returns the name of a change that was not reported, or "".
std::string watch_mount_table(FdMonitor& monitor, Key key, Trigger trigger) {
  const UniqueFd table = checked(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  const auto change = [] {
    REQUIRE(mount("coaio", "/tmp", "tmpfs", 0, "") == 0);  // above the previous mount
  };
  const auto wait = [&] {
    if (trigger == Trigger::kEdge) {
      monitor.want(key, Events::kPriority);
    } else {
      monitor.arm(table.get(), key, Events::kPriority, trigger);
    }
  };
  const auto seen = [&] { return any(seen_now(monitor, key) & Events::kPriority); };
  if (trigger == Trigger::kEdge) {
    monitor.arm(table.get(), key, kAllDirections, trigger);
  } else {
    change();  // before the first wait
  }
  wait();
  std::string missing = trigger == Trigger::kEdge || seen() ? "" : " the first;";
  wait();
  missing += seen() ? " one that was none;" : "";
  change();
  missing += seen() ? "" : " one while waiting;";
  change();
  wait();
  missing += seen() ? "" : " one between two waits;";
  monitor.disarm(key);
  return missing;
}

TEST_CASE("each change of the mount table ends a wait for it, or the next one") {
  const std::string result = run_in_child([]() -> std::string {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return "not allowed";
    }
    std::string missing;
    on_every_back_end([&](FdMonitor& monitor) {
      std::uint32_t generation = 0;
      for (const Trigger trigger : kAllTriggers) {
        const std::string here = watch_mount_table(monitor, {0, ++generation}, trigger);
        if (!here.empty()) {
          missing +=
              std::string(monitor.name()) + ", trigger " + std::to_string(generation) + ":" + here;
        }
      }
    });
    return missing;
  });
  if (result == "not allowed") {
    return report_skipped("a mount namespace of its own is refused");
  }
  CHECK(result == "");
}

// --- closed -------------------------------------------------------------------------------------

TEST_CASE("a descriptor that is closed without disarming harms nobody") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : kAllTriggers) {
      Pair closed = make_unix_pair();
      const Pair other = make_unix_pair();
      const std::uint32_t generation = 1 + static_cast<std::uint32_t>(trigger);
      monitor.arm(closed.a.get(), {.slot = 0, .generation = generation}, Events::kIn, trigger);
      monitor.want({.slot = 0, .generation = generation}, Events::kIn);
      monitor.arm(other.a.get(), {.slot = 1, .generation = generation}, Events::kIn, trigger);
      monitor.want({.slot = 1, .generation = generation}, Events::kIn);
      Watcher watcher(monitor);
      watcher.settle();
      closed.a.reset();
      for (const FdEvent& ready : watcher.drain()) {
        CHECK(ready.key == Key{.slot = 0, .generation = generation});  // kInvalid, or nothing
      }
      write_all(other.b, "x");
      CHECK(any(watcher.next_of({.slot = 1, .generation = generation}) & Events::kIn));
      monitor.disarm({.slot = 0, .generation = generation});
      monitor.disarm({.slot = 1, .generation = generation});
      CHECK(watcher.quiet());
    }
  });
}

// --- many ---------------------------------------------------------------------------------------

TEST_CASE("none of many ready descriptors is lost or reported twice") {
  constexpr std::uint32_t kCount = 10'500;
  if (!allow_descriptors(kCount + 100)) {
    return report_skipped("RLIMIT_NOFILE allows fewer than 10,600 descriptors");
  }
  const UniqueFd event = make_eventfd(1);
  std::vector<UniqueFd> twins;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    twins.push_back(checked(dup(event.get())));
  }
  on_every_back_end([&](FdMonitor& monitor) {
    for (const Trigger trigger : kAllTriggers) {
      const std::uint32_t generation = 1 + static_cast<std::uint32_t>(trigger);
      for (std::uint32_t slot = 0; slot < kCount; ++slot) {
        monitor.arm(twins[slot].get(), {slot, generation}, Events::kIn, trigger);
        monitor.want({slot, generation}, Events::kIn);
      }
      std::vector<int> seen(kCount, 0);
      Watcher watcher(monitor);
      for (std::ptrdiff_t missing = kCount; missing > 0;) {
        for (const FdEvent& ready : watcher.next()) {
          missing -= seen[ready.key.slot]++ == 0 ? 1 : 0;
        }
      }
      if (trigger != Trigger::kLevel) {  // a level is reported again, by parts that may overlap
        CHECK(std::count(seen.begin(), seen.end(), 1) == kCount);
        CHECK(watcher.quiet());
      }
      for (std::uint32_t slot = 0; slot < kCount; ++slot) {
        monitor.disarm({slot, generation});
      }
      CHECK(watcher.quiet());
    }
  });
}

}  // namespace
}  // namespace coaio::testing
