// Backend: which monitor a context runs on, and why.
//
//   absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kAuto);
//   LOG(selected->monitor->name(), selected->reason);
//
// kAuto takes the first of io_uring, epoll and ppoll that works here; docs/decisions.md has the
// figures behind the order. The environment variable COAIO_BACKEND ("auto", "ppoll", "epoll",
// "io_uring") decides where the program leaves the choice to kAuto; an empty one counts as unset.
//
// Errors: a forced back end that is not available fails with the errno and the likely cause.

#ifndef COAIO_BACKENDS_BACKEND_H_
#define COAIO_BACKENDS_BACKEND_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/fd_monitor.h"

namespace coaio {

enum class Backend { kAuto, kPpoll, kEpoll, kIoUring };

// "auto", "ppoll", "epoll" or "io_uring"; anything else is kInvalidArgument.
absl::StatusOr<Backend> parse_backend(absl::string_view name);

struct SelectedMonitor {
  std::unique_ptr<FdMonitor> monitor;
  std::string reason;  // what was asked for, and what each refused back end said

  // From this number of watches on, monitor_for_many() makes a better monitor.
  std::size_t migrate_at = std::numeric_limits<std::size_t>::max();
};

// With an epoll_threshold other than 0, kAuto without io_uring begins on ppoll, which suits fewer
// watches than that.
absl::StatusOr<SelectedMonitor> select_monitor(Backend wanted, std::size_t epoll_threshold = 0);

// For a context that has come to `watches`: epoll, if it works.
SelectedMonitor monitor_for_many(std::size_t watches);

// For moving off a monitor whose wait() has begun to fail: the next of io_uring, epoll and ppoll
// that works, also for a context whose back end was forced, since the alternative is the end of the
// program. ppoll is left for epoll. `history` is the reason so far of the context that moves. If
// nothing is left to move to, the program ends with a sentence that names each failure.
SelectedMonitor next_monitor(const FdMonitor& failed, const absl::Status& why,
                             absl::string_view history = "");

}  // namespace coaio

#endif  // COAIO_BACKENDS_BACKEND_H_
