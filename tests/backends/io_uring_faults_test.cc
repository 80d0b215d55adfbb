// Faults of a ring other than refused system calls: unknown flags, and requests that fail.

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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
#include "tests/support/watcher.h"

namespace coaio::testing {

using namespace internal;
namespace {

constexpr Key kKey{.slot = 0, .generation = 1};

// --- flags that the kernel does not know --------------------------------------------------------

// The number of attempts until a ring is made, and whether it reports an event.
std::string fall_from(unsigned rung, unsigned unknown_flags) {
  return run_in_child([&]() -> std::string {
    refuse_ring_flags(unknown_flags);
    const int before = refused_rings();
    const absl::StatusOr<std::unique_ptr<FdMonitor>> monitor =
        make_io_uring_monitor({.rung = rung});
    if (!monitor.ok()) {
      return std::string(monitor.status().message());
    }
    const UniqueFd event = make_eventfd(1);
    (*monitor)->arm(event.get(), kKey, Events::kIn, Trigger::kOneShot);
    std::vector<FdEvent> ready;
    const absl::Status status = (*monitor)->wait(FdMonitor::kForever, ready);
    return absl::StrCat(refused_rings() - before, " refused, ", ready.size(), " reported");
  });
}

TEST_CASE("a kernel that does not know the newest flags gets the older ones") {
  if (!io_uring_support().ok()) {
    return report_skipped(std::string(io_uring_support().message()));
  }
  if (!sandbox_works()) {
    return report_skipped("the kernel has no seccomp filter to offer");
  }
  CHECK(fall_from(0, 0) == "0 refused, 1 reported");
  CHECK(fall_from(0, IORING_SETUP_DEFER_TASKRUN) == "1 refused, 1 reported");
  CHECK(fall_from(0, IORING_SETUP_TASKRUN_FLAG) == "2 refused, 1 reported");
  CHECK(fall_from(1, IORING_SETUP_COOP_TASKRUN) == "1 refused, 1 reported");
  CHECK(fall_from(0, IORING_SETUP_CQSIZE).find("io_uring_setup: EINVAL") == 0);
}

// --- sleeping -----------------------------------------------------------------------------------

// liburing 2.3 has no names for these constants.
constexpr unsigned kFeatureNoIowait = 1U << 17;
constexpr std::uint32_t kEnterNoIowait = 1U << 7;

bool kernel_has_no_iowait() {
  io_uring ring{};
  REQUIRE(io_uring_queue_init(1, &ring, 0) == 0);
  const bool has = (ring.features & kFeatureNoIowait) != 0;
  io_uring_queue_exit(&ring);
  return has;
}

// The status of a wait when calls of io_uring_enter(2) with exactly these flags are refused.
std::string wait_without(std::uint32_t flags, std::chrono::nanoseconds timeout) {
  constexpr unsigned kFlags = 3;
  return run_in_child([&]() -> std::string {
    const std::unique_ptr<FdMonitor> monitor = *make_io_uring_monitor();
    const UniqueFd event = make_eventfd(0);
    monitor->arm(event.get(), kKey, Events::kIn, Trigger::kOneShot);
    refuse_system_calls(
        {{.number = SYS_io_uring_enter, .error = EPERM, .where = {{kFlags, flags}}}});
    std::vector<FdEvent> ready;
    return absl::StrCat(errno_of(monitor->wait(timeout, ready)));
  });
}

TEST_CASE("a CPU whose loop sleeps in io_uring is not shown as one that waits for a disk") {
  if (!io_uring_support().ok()) {
    return report_skipped(std::string(io_uring_support().message()));
  }
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  if (!kernel_has_no_iowait()) {
    return report_skipped("the kernel is older than 6.15 and has no IORING_ENTER_NO_IOWAIT");
  }
  const std::string refused = absl::StrCat(EPERM);
  const std::uint32_t flags = IORING_ENTER_GETEVENTS | kEnterNoIowait;
  CHECK(wait_without(flags, FdMonitor::kForever) == refused);
  CHECK(wait_without(flags | IORING_ENTER_EXT_ARG, std::chrono::milliseconds(1)) == refused);
}

// --- requests that fail -------------------------------------------------------------------------

std::unique_ptr<FdMonitor> monitor_or_skip() {
  if (!io_uring_support().ok()) {
    report_skipped(std::string(io_uring_support().message()));
    return nullptr;
  }
  absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make_io_uring_monitor();
  REQUIRE_MESSAGE(monitor.ok(), monitor.status().ToString());
  return *std::move(monitor);
}

// The descriptor of the only ring of this process.
int ring_of_this_process() {
  for (int fd = 0; fd < 1000; ++fd) {
    char target[64] = {};
    const std::string link = absl::StrCat("/proc/self/fd/", fd);
    if (readlink(link.c_str(), target, sizeof target - 1) > 0 &&
        absl::StrContains(target, "io_uring")) {
      return fd;
    }
  }
  return -1;
}

TEST_CASE("watches whose requests somebody cancels are asked for again") {
  for (const Trigger trigger : kAllTriggers) {
    const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
    if (monitor == nullptr) {
      return;
    }
    const Pair pair = make_unix_pair();
    monitor->arm(pair.a.get(), kKey, Events::kIn, trigger);
    monitor->want(kKey, Events::kIn);
    Watcher watcher(*monitor);
    watcher.settle();
    io_uring_sync_cancel_reg all{};
    all.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    all.timeout = {.tv_sec = -1, .tv_nsec = -1};
    const long result = syscall(SYS_io_uring_register, ring_of_this_process(),
                                IORING_REGISTER_SYNC_CANCEL, &all, 1);
    REQUIRE_MESSAGE(result >= 0, "errno ", errno);
    CHECK(watcher.quiet());
    CHECK(monitor->peek() == Peek::kNothing);
    write_all(pair.b, "x");
    CHECK(watcher.next_of(kKey) == Events::kIn);
  }
}

// Puts a completion into the ring, as the kernel would for the first request of slot 0.
void complete_first_request(int ring_fd, int result) {
  io_uring ring{};
  REQUIRE(io_uring_queue_init(1, &ring, 0) == 0);
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_msg_ring(sqe, ring_fd, static_cast<unsigned>(result), std::uint64_t{1} << 32, 0);
  REQUIRE(io_uring_submit_and_wait(&ring, 1) == 1);
  io_uring_cqe* cqe = nullptr;
  REQUIRE(io_uring_peek_cqe(&ring, &cqe) == 0);
  CHECK(cqe->res == 0);
  io_uring_queue_exit(&ring);
}

TEST_CASE("a request that fails for want of memory is an error of the wait, and costs no watch") {
  for (const Trigger trigger : kAllTriggers) {
    const std::unique_ptr<FdMonitor> monitor = monitor_or_skip();
    if (monitor == nullptr) {
      return;
    }
    const Pair pair = make_unix_pair();
    monitor->arm(pair.a.get(), kKey, Events::kIn, trigger);
    monitor->want(kKey, Events::kIn);
    Watcher watcher(*monitor);
    watcher.settle();
    complete_first_request(ring_of_this_process(), -ENOMEM);
    std::vector<FdEvent> ready;
    const absl::Status status = monitor->wait(FdMonitor::kForever, ready);
    CHECK(errno_of(status) == ENOMEM);
    CHECK(ready.empty());
    CHECK(watcher.quiet());  // if the owner keeps this monitor
    write_all(pair.b, "x");
    CHECK(watcher.next_of(kKey) == Events::kIn);
  }
}

}  // namespace
}  // namespace coaio::testing
