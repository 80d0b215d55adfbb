// The io_uring back end: each watch is a poll request on a ring. One system call submits the
// changes and waits. peek() reads the completion ring in user space.

#ifndef COAIO_BACKENDS_IO_URING_MONITOR_H_
#define COAIO_BACKENDS_IO_URING_MONITOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_support.h"  // IWYU pragma: export

namespace coaio::internal {

// For tests and measurements, which need rings that overflow and the setup flags of old kernels.
struct IoUringOptions {
  // A full submission ring costs one more system call for each `submissions` changes.
  unsigned submissions = 256;
  // Entries of the completion ring, 16 bytes each. 0 means a small ring, and a large one for more
  // than 1,024 watches.
  unsigned completions = 0;
  // The first combination of setup flags to try: 0 is the cheapest way to run completions, 2 the
  // oldest.
  unsigned rung = 0;
};

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor(IoUringOptions options = {});

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_MONITOR_H_
