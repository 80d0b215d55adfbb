// A sandbox or a limit refuses a system call that a back end needs: kAuto takes another back end,
// or the status names the cause. Each fault is real, in a process of its own.

#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/errno_status.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/io_uring_refusal.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/sandbox.h"
#include "tests/support/skipped.h"

namespace coaio::testing {

using namespace internal;
namespace {

// The name of the back end that kAuto takes under these refusals, and its reason if the reason
// lacks one of the words.
std::string auto_under(const std::vector<Refusal>& refusals,
                       const std::vector<std::string>& words) {
  return run_in_child([&]() -> std::string {
    refuse_system_calls(refusals);
    const absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kAuto);
    if (!selected.ok()) {
      return selected.status().ToString();
    }
    for (const std::string& word : words) {
      if (!absl::StrContains(selected->reason, word)) {
        return absl::StrCat("no \"", word, "\" in: ", selected->reason);
      }
    }
    return std::string(selected->monitor->name());
  });
}

std::string forced_under(Backend backend, const std::vector<Refusal>& refusals) {
  return run_in_child([&]() -> std::string {
    refuse_system_calls(refusals);
    const absl::Status status = select_monitor(backend).status();
    return absl::StrCat(errno_of(status), " ", status.message());
  });
}

// In a child, because a process keeps the answer, and the later children of this process probe
// again.
std::string refusal_of_io_uring() {
  return run_in_child([] { return std::string(io_uring_support().message()); });
}

bool built_with_io_uring() { return !absl::StrContains(refusal_of_io_uring(), "built without"); }

TEST_CASE(
    "where io_uring_setup is refused, auto takes epoll and the reason names errno, sysctl and "
    "sandbox") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  if (built_with_io_uring()) {
    CHECK(auto_under({{.number = SYS_io_uring_setup, .error = EPERM}},
                     {"io_uring: io_uring_setup: EPERM", "sysctl kernel.io_uring_disabled is "}) ==
          "epoll");
    CHECK(auto_under({{.number = SYS_io_uring_setup, .error = ENOSYS}},
                     {"io_uring_setup: ENOSYS", "seccomp"}) == "epoll");
  }
}

TEST_CASE("any errno is a refusal") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  for (const int error : {EACCES, EINVAL, ENOMEM, EMFILE, EOPNOTSUPP, EIO}) {
    CHECK(auto_under({{.number = SYS_io_uring_setup, .error = error}}, {}) == "epoll");
  }
}

TEST_CASE("where set-up is allowed and the rest refused, auto takes epoll") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  const std::string refusal = refusal_of_io_uring();
  if (!refusal.empty()) {
    return report_skipped(refusal);
  }
  CHECK(auto_under({{.number = SYS_io_uring_enter, .error = EPERM}}, {"io_uring_enter: EPERM"}) ==
        "epoll");
  CHECK(auto_under({{.number = SYS_io_uring_register, .error = EPERM}},
                   {"io_uring_register: EPERM"}) == "epoll");
}

TEST_CASE("a forced io_uring that is refused fails with the errno and the likely cause") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  const std::string message =
      forced_under(Backend::kIoUring, {{.number = SYS_io_uring_setup, .error = EPERM}});
  CAPTURE(message);
  CHECK(absl::StrContains(message, "the program asks for io_uring, which is not available: "));
  if (built_with_io_uring()) {
    CHECK(absl::StartsWith(message, absl::StrCat(EPERM, " ")));
    CHECK(absl::StrContains(message, "io_uring_setup: EPERM (Operation not permitted); sysctl "));
  }
}

TEST_CASE("where epoll is refused too, auto takes ppoll") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  CHECK(auto_under({{.number = SYS_io_uring_setup, .error = EPERM},
                    {.number = SYS_epoll_create1, .error = EPERM}},
                   {"; epoll: epoll_create1: EPERM"}) == "ppoll");
}

TEST_CASE("a forced epoll that is refused fails with the errno") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  const std::string message =
      forced_under(Backend::kEpoll, {{.number = SYS_epoll_create1, .error = EPERM}});
  CHECK(message ==
        absl::StrCat(EPERM, " the program asks for epoll, which is not available: epoll_create1: ",
                     "EPERM (Operation not permitted); choose another back end, or auto"));
}

TEST_CASE("where no descriptor is left, auto takes ppoll") {
  CHECK(run_in_child([]() -> std::string {
          rlimit limit{};
          getrlimit(RLIMIT_NOFILE, &limit);
          const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
          setrlimit(RLIMIT_NOFILE, &none);
          const absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kAuto);
          setrlimit(RLIMIT_NOFILE, &limit);  // sanitizers open descriptors for their checks
          const bool says_so =
              absl::StrContains(selected->reason, "; epoll: epoll_create1: EMFILE");
          return says_so ? std::string(selected->monitor->name()) : selected->reason;
        }) == "ppoll");
}

// Refuses, as RLIMIT_MEMLOCK does, a ring of the first size of production, and of each smaller size
// down to `fewest` submission entries. The ring of the probe is smaller.
std::vector<Refusal> no_memory_for_rings_of(unsigned fewest) {
  constexpr unsigned kEntries = 0;
  std::vector<Refusal> refusals;
  for (unsigned entries = IoUringOptions{}.submissions; entries >= fewest; entries /= 2) {
    refusals.push_back(
        {.number = SYS_io_uring_setup, .error = ENOMEM, .where = {{kEntries, entries}}});
  }
  return refusals;
}

TEST_CASE("where there is memory to lock for a smaller ring only, io_uring takes a smaller ring") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  const std::string refusal = refusal_of_io_uring();
  if (!refusal.empty()) {
    return report_skipped(refusal);
  }
  CHECK(auto_under(no_memory_for_rings_of(64), {"auto"}) == "io_uring");
}

TEST_CASE(
    "where there is memory to lock for a tiny ring only, auto takes epoll and names the limit") {
  if (!sandbox_works()) {
    return report_skipped(kNoSandbox);
  }
  const std::string refusal = refusal_of_io_uring();
  if (!refusal.empty()) {
    return report_skipped(refusal);
  }
  CHECK(auto_under(no_memory_for_rings_of(4),
                   {"io_uring: io_uring_setup: ENOMEM", "RLIMIT_MEMLOCK (ulimit -l)"}) == "epoll");
}

TEST_CASE("with no memory to lock, auto takes what works") {
  CHECK(run_in_child([]() -> std::string {
          const rlimit none{.rlim_cur = 0, .rlim_max = 0};
          if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) {
            return "setrlimit";
          }
          const absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kAuto);
          std::vector<FdEvent> ready;
          return selected.ok()
                     ? std::string(
                           selected->monitor->wait(std::chrono::nanoseconds(0), ready).message())
                     : selected.status().ToString();
        }) == "");
}

TEST_CASE("a refusal of io_uring leads to the remedy") {
  const auto text = [](int error) {
    return std::string(io_uring_refusal(error, "io_uring_setup").message());
  };
  CHECK(absl::StartsWith(text(EPERM), "io_uring_setup: EPERM (Operation not permitted); sysctl "));
  CHECK(absl::StrContains(text(ENOSYS), "the kernel has no io_uring"));
  CHECK(absl::StrContains(text(ENOMEM), "RLIMIT_MEMLOCK"));
  CHECK(absl::StrContains(text(EMFILE), "RLIMIT_NOFILE"));
  CHECK(absl::StrContains(text(EOPNOTSUPP), "older than 5.17"));
  CHECK(text(EIO) == "io_uring_setup: EIO (Input/output error)");
}

}  // namespace
}  // namespace coaio::testing
