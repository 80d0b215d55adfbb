#include "tests/coro/io/loopback.h"

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/io/io_result.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

template <typename T>
T expect(absl::StatusOr<T> result) {
  REQUIRE_MESSAGE(result.ok(), result.status().ToString());
  return *std::move(result);
}

}  // namespace

SocketAddress loopback(std::uint16_t port) {
  return expect(SocketAddress::parse("127.0.0.1", port));
}

TcpListener listen_on_loopback(Context& context) {
  return expect(TcpListener::listen(context, loopback()));
}

SocketAddress address_of(const TcpListener& listener) { return expect(listener.address()); }

HalfStream make_half_stream(Context& context) {
  Pair pair = make_tcp_pair();
  return {TcpStream(context, std::move(pair.a)), std::move(pair.b)};
}

Task<StreamPair> make_stream_pair() {
  const TaskEnv here = co_await this_task();
  TcpListener listener = listen_on_loopback(here.context);
  // The kernel completes the handshake by itself, so that one can come after the other.
  absl::StatusOr<TcpStream> client = co_await TcpStream::connect(address_of(listener));
  absl::StatusOr<TcpStream> server = co_await listener.accept();
  co_return StreamPair{expect(std::move(client)), expect(std::move(server))};
}

Task<absl::StatusOr<std::string>> read_to_end(TcpStream& stream, std::size_t block) {
  std::string all;
  std::string buffer(block, '\0');
  for (;;) {
    const IoResult read = co_await stream.read_some(buffer);
    if (!read.ok()) {
      co_return read.status();
    }
    if (read.count() == 0) {
      co_return all;
    }
    all.append(buffer, 0, read.count());
  }
}

void close_with_reset(UniqueFd& socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  REQUIRE(setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  socket.reset();
}

}  // namespace coaio::testing
