// socket_error: a socket call that failed on an address, with the fix where there is a usual one.
// Private to coro/io.

#ifndef COAIO_CORO_IO_SOCKET_ERROR_H_
#define COAIO_CORO_IO_SOCKET_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coro/io/socket_address.h"

namespace coaio {

// "bind 127.0.0.1:80: EACCES (Permission denied); ports below 1024 need CAP_NET_BIND_SERVICE".
absl::Status socket_error(int error, absl::string_view call, const SocketAddress& address);

}  // namespace coaio

#endif  // COAIO_CORO_IO_SOCKET_ERROR_H_
