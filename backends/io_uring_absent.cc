// Takes the place of io_uring_monitor.cc and io_uring_support.cc where coaio is built without
// liburing.

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"
#include "backends/io_uring_support.h"

namespace coaio::internal {

absl::Status io_uring_support() {
  return absl::UnimplementedError("coaio was built without liburing (--//:liburing=false)");
}

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor(IoUringOptions) {
  return io_uring_support();
}

}  // namespace coaio::internal
