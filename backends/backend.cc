#include "backends/backend.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/epoll_monitor.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/ppoll_monitor.h"

namespace coaio {
namespace {

constexpr char kVariable[] = "COAIO_BACKEND";

absl::StatusOr<std::unique_ptr<FdMonitor>> make(Backend backend) {
  switch (backend) {
    case Backend::kPpoll:
      return make_ppoll_monitor();
    case Backend::kEpoll:
      return make_epoll_monitor();
    case Backend::kIoUring:
    case Backend::kAuto:
      break;
  }
  return make_io_uring_monitor();
}

absl::StatusOr<SelectedMonitor> force(Backend backend, absl::string_view who) {
  absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make(backend);
  if (!monitor.ok()) {
    return absl::Status(monitor.status().code(),
                        absl::StrCat(who, ", which is not available: ", monitor.status().message(),
                                     "; choose another back end, or \"auto\""));
  }
  return SelectedMonitor{*std::move(monitor), std::string(who)};
}

absl::StatusOr<SelectedMonitor> first_that_works() {
  std::string reason = "auto";
  for (const Backend backend : {Backend::kIoUring, Backend::kEpoll}) {
    absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make(backend);
    if (monitor.ok()) {
      return SelectedMonitor{*std::move(monitor), std::move(reason)};
    }
    absl::StrAppend(&reason, backend == Backend::kIoUring ? "; io_uring: " : "; epoll: ",
                    monitor.status().message());
  }
  return SelectedMonitor{make_ppoll_monitor(), std::move(reason)};
}

}  // namespace

absl::StatusOr<Backend> parse_backend(absl::string_view name) {
  if (name == "auto") {
    return Backend::kAuto;
  }
  if (name == "ppoll") {
    return Backend::kPpoll;
  }
  if (name == "epoll") {
    return Backend::kEpoll;
  }
  if (name == "io_uring") {
    return Backend::kIoUring;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown back end \"", name, "\": use auto, ppoll, epoll or io_uring"));
}

absl::StatusOr<SelectedMonitor> select_monitor(Backend wanted) {
  if (wanted != Backend::kAuto) {
    return force(wanted, "the program asks for this back end");
  }
  const char* variable = std::getenv(kVariable);
  if (variable == nullptr) {
    return first_that_works();
  }
  absl::StatusOr<Backend> asked = parse_backend(variable);
  if (!asked.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(kVariable, ": ", asked.status().message()));
  }
  return *asked == Backend::kAuto ? first_that_works()
                                  : force(*asked, absl::StrCat(kVariable, " asks for ", variable));
}

}  // namespace coaio
