// The kernel refuses submissions of io_uring for a short time: wait() returns early, and the next
// wait() submits again. Each refusal is real, in a process of its own.

#include <sys/syscall.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/descriptors.h"
#include "tests/support/sandbox.h"
#include "tests/support/skipped.h"

namespace coaio::testing {

using namespace internal;
namespace {

constexpr std::chrono::nanoseconds kNow{0};

// Why this machine cannot run the test; empty if it can.
std::string why_not() {
  if (!io_uring_support().ok()) {
    return std::string(io_uring_support().message());
  }
  return sandbox_works() ? "" : kNoSandbox;
}

// Refuses submissions of this many requests, or waits that sleep. A later call of another kind
// succeeds.
std::string cope_with(int error) {
  constexpr unsigned kToSubmit = 1;
  constexpr std::uint32_t kTwo = 2;
  const std::unique_ptr<FdMonitor> monitor = *make_io_uring_monitor();
  const Pair one = make_pipe();
  const Pair two = make_pipe();
  std::vector<FdEvent> ready;
  if (!monitor->wait(kNow, ready).ok()) {
    return "first wait";
  }
  refuse_system_calls(
      {{.number = SYS_io_uring_enter, .error = error, .where = {{kToSubmit, kTwo}}}});
  monitor->arm(one.a.get(), {.slot = 0}, Events::kIn, Trigger::kOneShot);
  monitor->arm(two.a.get(), {.slot = 1}, Events::kIn, Trigger::kOneShot);
  write_all(one.b, "x");
  write_all(two.b, "x");
  const absl::Status status = monitor->wait(FdMonitor::kForever, ready);
  if (!status.ok() || !ready.empty()) {
    return absl::StrCat("not an early return: ", ready.size(), " ", status.ToString());
  }
  if (monitor->peek() == Peek::kNothing) {
    return "peek forgot what is still to be submitted";
  }
  const Pair three = make_pipe();
  monitor->arm(three.a.get(), {.slot = 2}, Events::kIn, Trigger::kOneShot);
  const absl::Status again = monitor->wait(FdMonitor::kForever, ready);
  return again.ok() && ready.size() == 2
             ? ""
             : absl::StrCat(ready.size(), " reported: ", again.ToString());
}

TEST_CASE("a submission that memory or a backlog refused for now is repeated by the next wait") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  for (const int error : {EAGAIN, EBUSY, EINTR}) {
    CHECK(run_in_child([error] { return cope_with(error); }) == "");
  }
}

TEST_CASE("more changes than the submission ring holds survive a refusal half way") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([]() -> std::string {
          constexpr unsigned kToSubmit = 1;
          const std::unique_ptr<FdMonitor> monitor =
              *make_io_uring_monitor({.submissions = 4, .completions = 4});
          std::vector<Pair> pipes;
          for (std::uint32_t slot = 0; slot < 5; ++slot) {
            pipes.push_back(make_pipe());
            write_all(pipes.back().b, "x");
            monitor->arm(pipes.back().a.get(), {.slot = slot}, Events::kIn, Trigger::kOneShot);
          }
          refuse_system_calls(
              {{.number = SYS_io_uring_enter, .error = EBUSY, .where = {{kToSubmit, 4}}}});
          std::vector<FdEvent> ready;
          const absl::Status status = monitor->wait(FdMonitor::kForever, ready);
          return absl::StrCat(ready.size(), " reported ", status.ToString(), " ",
                              monitor->peek() == Peek::kNothing ? "forgotten" : "remembered");
        }) == "0 reported OK remembered");
}

TEST_CASE("a watch that is disarmed while submissions are refused reports nothing") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([]() -> std::string {
          constexpr unsigned kToSubmit = 1;
          // With the flags of this rung completions need no system call. Two changes fill the ring.
          const std::unique_ptr<FdMonitor> monitor =
              *make_io_uring_monitor({.submissions = 2, .completions = 8, .rung = 1});
          const Pair pairs[] = {make_pipe(), make_pipe()};
          std::vector<FdEvent> ready;
          for (std::uint32_t slot = 0; slot < 2; ++slot) {
            monitor->arm(pairs[slot].a.get(), {.slot = slot}, Events::kIn, Trigger::kOneShot);
            if (!monitor->wait(kNow, ready).ok()) {
              return "first waits";
            }
          }
          refuse_system_calls(
              {{.number = SYS_io_uring_enter, .error = EBUSY, .where = {{kToSubmit, 1}}}});
          for (std::uint32_t slot = 0; slot < 2; ++slot) {
            write_all(pairs[slot].b, "x");
            monitor->disarm({.slot = slot});
          }
          const absl::Status status = monitor->wait(kNow, ready);
          return absl::StrCat(ready.size(), " reported ", status.ToString());
        }) == "0 reported OK");
}

TEST_CASE("a watch whose interest changes while submissions are refused reports no old one") {
  if (const std::string why = why_not(); !why.empty()) {
    return report_skipped(why);
  }
  CHECK(run_in_child([]() -> std::string {
          constexpr unsigned kToSubmit = 1;
          // With the flags of this rung completions need no system call. One change fills the ring.
          const std::unique_ptr<FdMonitor> monitor =
              *make_io_uring_monitor({.submissions = 2, .completions = 8, .rung = 1});
          const Pair pairs[] = {make_unix_pair(), make_unix_pair()};
          std::vector<FdEvent> ready;
          for (std::uint32_t slot = 0; slot < 2; ++slot) {
            fill(pairs[slot].a);
            monitor->arm(pairs[slot].a.get(), {.slot = slot}, Events::kIn | Events::kOut,
                         Trigger::kOneShot);
            if (!monitor->wait(kNow, ready).ok()) {
              return "first waits";
            }
          }
          refuse_system_calls(
              {{.number = SYS_io_uring_enter, .error = EBUSY, .where = {{kToSubmit, 2}}}});
          for (std::uint32_t slot = 0; slot < 2; ++slot) {
            write_all(pairs[slot].b, "x");
            monitor->arm(pairs[slot].a.get(), {.slot = slot}, Events::kOut, Trigger::kOneShot);
          }
          const absl::Status status = monitor->wait(kNow, ready);
          return absl::StrCat(ready.size(), " reported ", status.ToString());
        }) == "0 reported OK");
}

}  // namespace
}  // namespace coaio::testing
