// The ppoll back end: an array of descriptors handed to the kernel at each wait. It needs nothing
// but poll(2), and its cost grows with the number of interests: for small sets, and where nothing
// else is allowed.

#ifndef COAIO_BACKENDS_PPOLL_MONITOR_H_
#define COAIO_BACKENDS_PPOLL_MONITOR_H_

#include <memory>

#include "backends/fd_monitor.h"

namespace coaio::internal {

std::unique_ptr<FdMonitor> make_ppoll_monitor();

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_PPOLL_MONITOR_H_
