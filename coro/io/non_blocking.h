// make_non_blocking: for sockets that coaio has not opened. Private to coro/io.

#ifndef COAIO_CORO_IO_NON_BLOCKING_H_
#define COAIO_CORO_IO_NON_BLOCKING_H_

#include "backends/unique_fd.h"

namespace coaio::internal {

// Sets O_NONBLOCK if it is not set: a call that blocks would stop the whole loop. A descriptor that
// is not open is a checked error, whose sentence names the descriptor.
UniqueFd make_non_blocking(UniqueFd fd);

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_NON_BLOCKING_H_
