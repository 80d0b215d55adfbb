// TCP connections over the loopback device, for tests.

#ifndef COAIO_TESTS_CORO_IO_LOOPBACK_H_
#define COAIO_TESTS_CORO_IO_LOOPBACK_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/task.h"
#include "runtime/context.h"

namespace coaio::testing {

SocketAddress loopback(std::uint16_t port = 0);

TcpListener listen_on_loopback(Context& context);
SocketAddress address_of(const TcpListener& listener);

// A connection of which one end is a stream on the context, and the other a plain socket.
struct HalfStream {
  TcpStream stream;
  UniqueFd peer;
};

HalfStream make_half_stream(Context& context);

// A connection with a stream at each end, made by connect() and accept().
struct StreamPair {
  TcpStream client;
  TcpStream server;
};

Task<StreamPair> make_stream_pair();

// Until the end of file or an error.
Task<absl::StatusOr<std::string>> read_to_end(TcpStream& stream, std::size_t block = 4096);

// The peer gets a reset, not an end of file.
void close_with_reset(UniqueFd& socket);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_CORO_IO_LOOPBACK_H_
