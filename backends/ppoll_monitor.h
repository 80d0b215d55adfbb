// The ppoll back end: each wait passes an array of descriptors to the kernel. It needs ppoll(2)
// only, and the cost of a wait grows with the number of watches. It suits few watches, and
// sandboxes that refuse epoll and io_uring.

#ifndef COAIO_BACKENDS_PPOLL_MONITOR_H_
#define COAIO_BACKENDS_PPOLL_MONITOR_H_

#include <memory>

#include "backends/fd_monitor.h"

namespace coaio::internal {

std::unique_ptr<FdMonitor> make_ppoll_monitor();

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_PPOLL_MONITOR_H_
