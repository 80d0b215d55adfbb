// The epoll back end: the kernel keeps the registered descriptors, and the cost of a wait grows
// with the number of ready ones only.

#ifndef COAIO_BACKENDS_EPOLL_MONITOR_H_
#define COAIO_BACKENDS_EPOLL_MONITOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"

namespace coaio::internal {

// Fails if epoll_create1(2) fails: too many open files, or a sandbox.
absl::StatusOr<std::unique_ptr<FdMonitor>> make_epoll_monitor();

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_EPOLL_MONITOR_H_
