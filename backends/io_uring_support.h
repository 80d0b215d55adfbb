// io_uring_support: whether this process may use io_uring. Private to the io_uring back end.
//
// Threads: any.

#ifndef COAIO_BACKENDS_IO_URING_SUPPORT_H_
#define COAIO_BACKENDS_IO_URING_SUPPORT_H_

#include "absl/status/status.h"

namespace coaio::internal {

// Sets up a ring and submits one request, because some sandboxes allow the first and refuse the
// second. The answer is kept for the process, except a refusal that may pass: a lack of file
// descriptors or memory. A refusal names the errno, the value of the sysctl, and the likely cause.
absl::Status io_uring_support();

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_SUPPORT_H_
