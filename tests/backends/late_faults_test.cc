// A system call begins to fail while a monitor is in use: wait() returns the error and loses no
// watch, or works without the call. Each fault is real, in a process of its own.

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/epoll_monitor.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/descriptors.h"
#include "tests/support/sandbox.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"

namespace coaio::testing {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kNow{0};
constexpr std::uint32_t kMany = 400;

// Why this machine cannot run the test; empty if it can.
std::string why_not() {
  if (!io_uring_support().ok()) {
    return std::string(io_uring_support().message());
  }
  return sandbox_works() ? "" : kNoSandbox;
}

// Moves to the next monitor as a context does, and arms all watches again. Every third pair has
// data.
std::string move_and_count(FdMonitor& failed, const absl::Status& why,
                           const std::vector<Pair>& pairs) {
  const SelectedMonitor next = next_monitor(failed, why);
  for (std::uint32_t slot = 0; slot < pairs.size(); ++slot) {
    next.monitor->arm(pairs[slot].a.get(), {slot, 1}, Events::kIn, Trigger::kOneShot);
  }
  std::vector<int> seen(pairs.size(), 0);
  std::vector<FdEvent> ready;
  do {
    ready.clear();
    if (const absl::Status status = next.monitor->wait(kNow, ready); !status.ok()) {
      return status.ToString();
    }
    for (const FdEvent& one : ready) {
      ++seen[one.key.slot];
    }
  } while (!ready.empty());
  for (std::size_t slot = 0; slot < seen.size(); ++slot) {
    if (seen[slot] != (slot % 3 == 0 ? 1 : 0)) {
      return absl::StrCat("slot ", slot, " was reported ", seen[slot], " times by ",
                          next.monitor->name());
    }
  }
  return std::string(next.monitor->name());
}

// Arms watches, installs the refusals, makes a third of the watches ready, and moves when wait()
// fails.
std::string move_when(std::unique_ptr<FdMonitor> monitor, const std::vector<Refusal>& refusals,
                      int expected_error) {
  std::vector<Pair> pairs;
  for (std::uint32_t slot = 0; slot < kMany; ++slot) {
    pairs.push_back(make_unix_pair());
    monitor->arm(pairs.back().a.get(), {slot, 1}, Events::kIn, Trigger::kOneShot);
    if (slot == kMany / 2) {  // half of the watches are registered
      std::vector<FdEvent> ready;
      if (const absl::Status status = monitor->wait(kNow, ready); !status.ok()) {
        return status.ToString();
      }
      refuse_system_calls(refusals);
    }
  }
  for (std::size_t slot = 0; slot < pairs.size(); slot += 3) {
    write_all(pairs[slot].b, "x");
  }
  std::vector<FdEvent> ready;
  const absl::Status status = monitor->wait(FdMonitor::kForever, ready);
  if (errno_of(status) != expected_error || !ready.empty()) {
    return absl::StrCat("wait reported ", ready.size(), " and ", status.ToString());
  }
  return move_and_count(*monitor, status, pairs);
}

TEST_CASE("io_uring that is refused after the start is left for epoll without losing an event") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([] {
          return move_when(*make_io_uring_monitor(),
                           {{.number = SYS_io_uring_enter, .error = EPERM}}, EPERM);
        }) == "epoll");
}

TEST_CASE("io_uring that is refused altogether after the start is left for epoll") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([] {
          return move_when(*make_io_uring_monitor(),
                           {{.number = SYS_io_uring_setup, .error = EPERM},
                            {.number = SYS_io_uring_enter, .error = EPERM},
                            {.number = SYS_io_uring_register, .error = EPERM}},
                           EPERM);
        }) == "epoll");
}

TEST_CASE(
    "a second ring that is refused is an error of pollable_fd(), and the first one serves on") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([]() -> std::string {
          const std::unique_ptr<FdMonitor> monitor = *make_io_uring_monitor();
          const Pair pipe = make_pipe();
          monitor->arm(pipe.a.get(), {}, Events::kIn, Trigger::kOneShot);
          std::vector<FdEvent> ready;
          if (!monitor->wait(kNow, ready).ok()) {
            return "first wait";
          }
          refuse_system_calls({{.number = SYS_io_uring_setup, .error = EPERM}});
          const absl::StatusOr<int> pollable = monitor->pollable_fd();
          if (errno_of(pollable.status()) != EPERM) {
            return pollable.status().ToString();
          }
          if (monitor->peek() != Peek::kNothing) {
            return "peek sees what is not there";
          }
          write_all(pipe.b, "x");
          const absl::Status status = monitor->wait(FdMonitor::kForever, ready);
          return absl::StrCat(ready.size(), " reported ", status.ToString());
        }) == "1 reported OK");
}

TEST_CASE("a ring that may not be enabled is an error of the first wait") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  const std::string message = run_in_child([]() -> std::string {
    const std::unique_ptr<FdMonitor> monitor = *make_io_uring_monitor();
    refuse_system_calls({{.number = SYS_io_uring_register, .error = EPERM}});
    std::vector<FdEvent> ready;
    return std::string(monitor->wait(kNow, ready).message());
  });
  CHECK(message.find("io_uring_register: EPERM (Operation not permitted); sysctl ") == 0);
}

TEST_CASE("a ring that dropped completions is left for epoll without losing an event") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([] {
          return move_when(*make_io_uring_monitor(),
                           {{.number = SYS_io_uring_enter, .error = EBADR}}, EBADR);
        }) == "epoll");
}

TEST_CASE("epoll that reaches its limit of watches is left for ppoll without losing an event") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  for (const int error : {ENOSPC, ENOMEM}) {
    CHECK(run_in_child([error] {
            return move_when(*make_epoll_monitor(), {{.number = SYS_epoll_ctl, .error = error}},
                             error);
          }) == "ppoll");
  }
}

TEST_CASE(
    "epoll at its limit of watches, which may still change and remove some, is left for ppoll") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  constexpr unsigned kOperation = 1;
  CHECK(run_in_child([] {
          return move_when(
              *make_epoll_monitor(),
              {{.number = SYS_epoll_ctl, .error = ENOSPC, .where = {{kOperation, EPOLL_CTL_ADD}}}},
              ENOSPC);
        }) == "ppoll");
}

TEST_CASE("a sandbox that forbids epoll_ctl does not make every descriptor ready") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  CHECK(run_in_child([] {
          return move_when(*make_epoll_monitor(), {{.number = SYS_epoll_ctl, .error = EPERM}},
                           EPERM);
        }) == "ppoll");
}

// An eventfd may be ready for both directions, as a file without readiness is.
TEST_CASE("a sandbox that forbids epoll_ctl does not make a ready eventfd ready for ever") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge}) {
    CHECK(run_in_child([trigger]() -> std::string {
            const std::unique_ptr<FdMonitor> monitor = *make_epoll_monitor();
            const UniqueFd event = make_eventfd(1);
            refuse_system_calls({{.number = SYS_epoll_ctl, .error = EPERM}});
            monitor->arm(event.get(), {}, Events::kIn, trigger);
            monitor->want({}, Events::kIn);
            std::vector<FdEvent> ready;
            const absl::Status status = monitor->wait(kNow, ready);
            return absl::StrCat(ready.size(), " reported, errno ", errno_of(status));
          }) == absl::StrCat("0 reported, errno ", EPERM));
  }
}

TEST_CASE("epoll whose wait is refused is left for ppoll") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  // The C library may implement epoll_wait() by any of the three system calls.
  CHECK(run_in_child([] {
          return move_when(*make_epoll_monitor(), {{.number = SYS_epoll_wait, .error = EPERM}},
                           EPERM);
        }) == "ppoll");
}

TEST_CASE("without epoll_pwait2 a timeout is as exact, and events come as before") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  for (const int error : {ENOSYS, EPERM}) {
    CHECK(run_in_child([error]() -> std::string {
            refuse_system_calls({{.number = SYS_epoll_pwait2, .error = error}});
            const std::unique_ptr<FdMonitor> monitor = *make_epoll_monitor();
            const Pair pipe = make_pipe();
            monitor->arm(pipe.a.get(), {}, Events::kIn, Trigger::kLevel);
            std::vector<FdEvent> ready;
            for (int i = 0; i < 3; ++i) {
              const nanoseconds timeout(1'500'001);
              const auto begin = std::chrono::steady_clock::now();
              if (!monitor->wait(timeout, ready).ok() || !ready.empty()) {
                return "failed or reported something";
              }
              if (std::chrono::steady_clock::now() - begin < timeout) {
                return "came back early";
              }
            }
            write_all(pipe.b, "x");
            const bool ok = monitor->wait(std::chrono::minutes(1), ready).ok();
            return ok && ready.size() == 1 ? "" : "lost the event";
          }) == "");
  }
}

TEST_CASE("that epoll_pwait2 is refused is found out once") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  if (!tracing_works()) {
    return report_skipped("a sandbox or a debugger forbids ptrace");
  }
  for (const int error : {ENOSYS, EPERM}) {
    const std::map<long, int> calls = count_system_calls([error](CallCounter& counter) {
      refuse_system_calls({{.number = SYS_epoll_pwait2, .error = error}});
      const std::unique_ptr<FdMonitor> monitor = *make_epoll_monitor();
      std::vector<FdEvent> ready;
      counter.begin();
      for (int i = 0; i < 3; ++i) {
        static_cast<void>(monitor->wait(nanoseconds(1), ready));
      }
      counter.end();
    });
    CHECK(calls.at(SYS_epoll_pwait2) == 1);
    CHECK(calls.at(SYS_ppoll) == 3);
  }
}

TEST_CASE("a set that cannot be rebuilt is left for ppoll") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  CHECK(run_in_child([]() -> std::string {
          const std::unique_ptr<FdMonitor> monitor = *make_epoll_monitor();
          std::vector<Pair> pipes;
          pipes.push_back(make_pipe());
          const UniqueFd twin(dup(pipes[0].a.get()));
          monitor->arm(pipes[0].a.get(), {.slot = 1}, Events::kIn, Trigger::kLevel);
          std::vector<FdEvent> ready;
          if (!monitor->wait(kNow, ready).ok()) {
            return "first wait";
          }
          pipes[0].a.reset();
          monitor->disarm({.slot = 1});
          refuse_system_calls({{.number = SYS_epoll_create1, .error = EMFILE}});
          write_all(pipes[0].b, "x");
          const absl::Status status = monitor->wait(kNow, ready);
          return absl::StrCat(ready.size(), " reported, ", status.message());
        }) ==
        "0 reported, epoll_create1: EMFILE (Too many open files); the process may not open more "
        "descriptors: raise ulimit -n");
}

}  // namespace
}  // namespace coaio::testing
