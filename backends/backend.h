// Backend: which monitor a context runs on, and why.
//
//   absl::StatusOr<SelectedMonitor> selected = select_monitor(Backend::kAuto);
//   if (selected.ok()) {
//     std::cout << selected->monitor->name() << ": " << selected->reason << "\n";
//   }
//
// kAuto takes the first of io_uring, epoll and ppoll that works on this machine; docs/decisions.md
// has the figures for this order. If the program asks for kAuto, the environment variable
// COAIO_BACKEND ("auto", "ppoll", "epoll", "io_uring") decides; an empty value counts as unset.
//
// Threads: any.
// Errors: if a forced back end is not available, the status has the errno and the likely cause.

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
  std::string reason;  // the choice of the program or the variable, and the text of each refusal

  // From this number of watches on, monitor_for_many() makes a better monitor.
  std::size_t migrate_at = std::numeric_limits<std::size_t>::max();
};

// With an epoll_threshold other than 0, kAuto without io_uring begins on ppoll, which suits fewer
// watches than that.
absl::StatusOr<SelectedMonitor> select_monitor(Backend wanted, std::size_t epoll_threshold = 0);

// For a context that has `watches` watches by now: epoll, or ppoll if epoll does not work.
SelectedMonitor monitor_for_many(std::size_t watches);

// The successor of a monitor whose wait() has begun to fail: the next of io_uring, epoll and ppoll
// that works; the successor of ppoll is epoll. A context whose back end was forced moves, too,
// because the alternative is the end of the program. `history` is the reason that this context has
// recorded so far. If no back end is left, the program aborts with a sentence that names each
// failure.
SelectedMonitor next_monitor(const FdMonitor& failed, const absl::Status& why,
                             absl::string_view history = "");

}  // namespace coaio

#endif  // COAIO_BACKENDS_BACKEND_H_
