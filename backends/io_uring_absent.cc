// Stands in for io_uring_monitor.cc where coaio is built without liburing.

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_monitor.h"

namespace coaio::internal {

const absl::Status& io_uring_support() {
  static const absl::Status& status = *new absl::Status(
      absl::StatusCode::kUnimplemented, "coaio was built without liburing (--//:liburing=false)");
  return status;
}

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor(IoUringOptions) {
  return io_uring_support();
}

}  // namespace coaio::internal
