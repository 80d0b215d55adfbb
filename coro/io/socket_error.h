// socket_error: the status of a socket call that failed, with the usual remedy if there is one.
// Private to coro/io.

#ifndef COAIO_CORO_IO_SOCKET_ERROR_H_
#define COAIO_CORO_IO_SOCKET_ERROR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coro/io/socket_address.h"

namespace coaio::internal {

enum class SocketCall : std::uint8_t { kSocket, kSetOption, kBind, kListen, kConnect };

// "bind 127.0.0.1:80: EACCES (Permission denied); ports below 1024 need CAP_NET_BIND_SERVICE". The
// remedy is that of the call: one errno means different things to bind(2) and connect(2).
absl::Status socket_error(int error, SocketCall call, const SocketAddress& address);

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_SOCKET_ERROR_H_
