// The epoll back end: the kernel keeps the set, and a wait costs what is ready.

#ifndef COAIO_BACKENDS_EPOLL_MONITOR_H_
#define COAIO_BACKENDS_EPOLL_MONITOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"

namespace coaio::internal {

// Fails where epoll_create1 does: too many open files, or a sandbox.
absl::StatusOr<std::unique_ptr<FdMonitor>> make_epoll_monitor();

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_EPOLL_MONITOR_H_
