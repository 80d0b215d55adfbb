// The io_uring back end: each watch is a poll request on a ring. Changes are submitted together
// with the wait, in one system call, and user space can see that something is ready.

#ifndef COAIO_BACKENDS_IO_URING_MONITOR_H_
#define COAIO_BACKENDS_IO_URING_MONITOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_support.h"  // IWYU pragma: export

namespace coaio::internal {

// For tests and measurements, which need rings that overflow and rings as old kernels make them.
struct IoUringOptions {
  // A full submission ring costs one more system call for each `submissions` changes.
  unsigned submissions = 256;
  // Places in the completion ring, 16 bytes each. 0: few at first, many once there are many
  // watches.
  unsigned completions = 0;
  // The first set of setup flags to try: 0 is the cheapest way to run completions, 2 the oldest.
  unsigned rung = 0;
};

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor(IoUringOptions options = {});

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_MONITOR_H_
