#include "backends/backend.h"

#include <cerrno>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/skipped.h"

namespace coaio {

using namespace internal;
namespace {

using testing::run_in_child;

// The result of select_monitor() with this value of the variable: name and reason, or the status.
std::string selected_with(const char* variable) {
  return run_in_child([variable]() -> std::string {
    setenv("COAIO_BACKEND", variable, 1);
    const absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kAuto);
    return selected.ok() ? std::string(selected->monitor->name()) + ": " + selected->reason
                         : std::string(selected.status().message());
  });
}

TEST_CASE("back ends have names") {
  CHECK(*parse_backend("auto") == Backend::kAuto);
  CHECK(*parse_backend("ppoll") == Backend::kPpoll);
  CHECK(*parse_backend("epoll") == Backend::kEpoll);
  CHECK(*parse_backend("io_uring") == Backend::kIoUring);
  CHECK(parse_backend("kqueue").status().message() ==
        "unknown back end \"kqueue\": use auto, ppoll, epoll or io_uring");
}

TEST_CASE("the program may ask for a back end") {
  for (const Backend backend : {Backend::kPpoll, Backend::kEpoll}) {
    const absl::StatusOr<SelectedMonitor> selected = select_monitor(backend);
    REQUIRE(selected.ok());
    CHECK(*parse_backend(selected->monitor->name()) == backend);
    CHECK(selected->reason == "the program asks for " + std::string(selected->monitor->name()));
  }
}

TEST_CASE("the program may ask for io_uring, and hears why it cannot have it") {
  const absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kIoUring);
  if (io_uring_support().ok()) {
    REQUIRE(selected.ok());
    CHECK(selected->monitor->name() == "io_uring");
    return;
  }
  const std::string message(selected.status().message());
  CHECK(message.find("the program asks for io_uring, which is not available: ") == 0);
  CHECK(message.find(std::string(io_uring_support().message())) != std::string::npos);
}

TEST_CASE("the environment decides where the program does not") {
  CHECK(selected_with("ppoll") == "ppoll: COAIO_BACKEND asks for ppoll");
  CHECK(selected_with("epoll") == "epoll: COAIO_BACKEND asks for epoll");
  CHECK(selected_with("kqueue") ==
        "COAIO_BACKEND: unknown back end \"kqueue\": use auto, ppoll, epoll or io_uring");
  CHECK(selected_with("auto").find(": auto") != std::string::npos);
}

TEST_CASE("a variable that is empty counts as unset") {
  CHECK(selected_with("") == selected_with("auto"));
}

TEST_CASE("what the program asks for goes before the environment") {
  CHECK(run_in_child([]() -> std::string {
          setenv("COAIO_BACKEND", "epoll", 1);
          return std::string(select_monitor(Backend::kPpoll)->monitor->name());
        }) == "ppoll");
}

TEST_CASE("a monitor that fails is followed by the next one, and the reason says why") {
  const absl::StatusOr<SelectedMonitor> first = select_monitor(Backend::kEpoll);
  REQUIRE(first.ok());
  const SelectedMonitor next = next_monitor(*first->monitor, errno_status(ENOSPC, "epoll_ctl"));
  CHECK(next.monitor->name() == "ppoll");
  CHECK(next.reason == "epoll failed: epoll_ctl: ENOSPC (No space left on device)");
  const SelectedMonitor last = next_monitor(*next.monitor, absl::UnknownError("ppoll"));
  CHECK(last.monitor->name() == "epoll");
}

TEST_CASE("io_uring that fails is followed by epoll") {
  const absl::StatusOr<SelectedMonitor> first = select_monitor(Backend::kIoUring);
  if (!first.ok()) {
    return testing::report_skipped(std::string(first.status().message()));
  }
  const SelectedMonitor next = next_monitor(*first->monitor, errno_status(EPERM, "io_uring_enter"));
  CHECK(next.monitor->name() == "epoll");
}

}  // namespace
}  // namespace coaio
