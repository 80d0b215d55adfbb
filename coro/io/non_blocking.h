// make_non_blocking: for sockets that come from outside of coaio. Private to coro/io.

#ifndef COAIO_CORO_IO_NON_BLOCKING_H_
#define COAIO_CORO_IO_NON_BLOCKING_H_

#include "backends/unique_fd.h"

namespace coaio::internal {

// Sets O_NONBLOCK if it is not set: a blocking call would stop the whole loop. A descriptor that is
// not open ends the program with a sentence that names it.
UniqueFd make_non_blocking(UniqueFd fd);

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_NON_BLOCKING_H_
