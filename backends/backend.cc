#include "backends/backend.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/check.h"
#include "backends/epoll_monitor.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/ppoll_monitor.h"

namespace coaio {

using namespace internal;
namespace {

constexpr char kVariable[] = "COAIO_BACKEND";

struct Candidate {
  Backend backend;
  absl::string_view name;
};

// In the order of kAuto.
constexpr std::array<Candidate, 3> kCandidates = {{
    {Backend::kIoUring, "io_uring"},
    {Backend::kEpoll, "epoll"},
    {Backend::kPpoll, "ppoll"},
}};

absl::StatusOr<std::unique_ptr<FdMonitor>> make(Backend backend) {
  switch (backend) {
    case Backend::kIoUring:
      return make_io_uring_monitor();
    case Backend::kEpoll:
      return make_epoll_monitor();
    case Backend::kPpoll:
    case Backend::kAuto:
      break;
  }
  return make_ppoll_monitor();
}

absl::string_view name_of(Backend backend) {
  for (const Candidate& candidate : kCandidates) {
    if (candidate.backend == backend) {
      return candidate.name;
    }
  }
  return "auto";
}

absl::StatusOr<SelectedMonitor> force(Backend backend, absl::string_view origin) {
  std::string reason = absl::StrCat(origin, " asks for ", name_of(backend));
  absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make(backend);
  if (monitor.ok()) {
    return SelectedMonitor{*std::move(monitor), std::move(reason)};
  }
  absl::Status status(monitor.status().code(),
                      absl::StrCat(reason, ", which is not available: ", monitor.status().message(),
                                   "; choose another back end, or auto"));
  monitor.status().ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
    status.SetPayload(type, payload);  // keeps the result of errno_of()
  });
  return status;
}

SelectedMonitor first_that_works(absl::Span<const Candidate> candidates, std::string reason) {
  for (const Candidate& candidate : candidates) {
    absl::StatusOr<std::unique_ptr<FdMonitor>> monitor = make(candidate.backend);
    if (monitor.ok()) {
      return {*std::move(monitor), std::move(reason)};
    }
    absl::StrAppend(&reason, "; ", candidate.name, ": ", monitor.status().message());
  }
  return {make_ppoll_monitor(), std::move(reason)};
}

// Takes ppoll where io_uring does not work: the context moves to epoll when it has more watches.
SelectedMonitor begin_small(std::size_t epoll_threshold) {
  absl::StatusOr<std::unique_ptr<FdMonitor>> ring = make_io_uring_monitor();
  if (ring.ok()) {
    return {*std::move(ring), "auto"};
  }
  return {make_ppoll_monitor(),
          absl::StrCat("auto; io_uring: ", ring.status().message(), "; ppoll for fewer than ",
                       epoll_threshold, " watches"),
          epoll_threshold};
}

// ppoll fails if RLIMIT_NOFILE is lowered below the number of watches; epoll does not. A context
// that has left epoll before must not return to it, or it would move to and fro without end.
SelectedMonitor leave_ppoll(const std::string& reason, absl::string_view history) {
  absl::StatusOr<std::unique_ptr<FdMonitor>> epoll =
      absl::StrContains(history, "epoll failed: ") ? absl::UnavailableError("has failed before")
                                                   : make(Backend::kEpoll);
  if (!epoll.ok()) {
    fail(absl::StrCat("ppoll fails, and there is nothing left to move to: ", reason,
                      "; epoll: ", epoll.status().message())
             .c_str());
  }
  return {*std::move(epoll), reason};
}

// Scripts set a variable to an empty value to clear it, so an empty value counts as unset.
absl::string_view environment_choice() {
  const char* variable = std::getenv(kVariable);
  return variable == nullptr || *variable == '\0' ? "auto" : variable;
}

}  // namespace

absl::StatusOr<Backend> parse_backend(absl::string_view name) {
  if (name == "auto") {
    return Backend::kAuto;
  }
  for (const Candidate& candidate : kCandidates) {
    if (candidate.name == name) {
      return candidate.backend;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown back end \"", name, "\": use auto, ppoll, epoll or io_uring"));
}

absl::StatusOr<SelectedMonitor> select_monitor(Backend wanted, std::size_t epoll_threshold) {
  if (wanted != Backend::kAuto) {
    return force(wanted, "the program");
  }
  const absl::StatusOr<Backend> asked = parse_backend(environment_choice());
  if (!asked.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(kVariable, ": ", asked.status().message()));
  }
  if (*asked != Backend::kAuto) {
    return force(*asked, kVariable);
  }
  return epoll_threshold == 0 ? first_that_works(kCandidates, "auto")
                              : begin_small(epoll_threshold);
}

SelectedMonitor monitor_for_many(std::size_t watches) {
  const absl::Span<const Candidate> without_io_uring = absl::MakeConstSpan(kCandidates).subspan(1);
  return first_that_works(without_io_uring, absl::StrCat(watches, " watches"));
}

SelectedMonitor next_monitor(const FdMonitor& failed, const absl::Status& why,
                             absl::string_view history) {
  const std::string reason = absl::StrCat(failed.name(), " failed: ", why.message());
  if (failed.name() == "ppoll") {
    return leave_ppoll(reason, history);
  }
  absl::Span<const Candidate> rest = kCandidates;
  while (!rest.empty() && rest.front().name != failed.name()) {
    rest.remove_prefix(1);
  }
  rest.remove_prefix(rest.empty() ? 0 : 1);
  return first_that_works(rest, reason);
}

}  // namespace coaio
