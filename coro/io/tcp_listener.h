// TcpListener: accepts TCP connections.
//
//   absl::StatusOr<TcpListener> listener = TcpListener::listen(context, address);
//   for (;;) {
//     absl::StatusOr<TcpStream> stream = co_await listener->accept();
//     if (!stream.ok()) break;
//     connections.spawn(serve(*std::move(stream)));
//   }
//
// One task accepts; a second accept() on one listener at the same time ends the program with a
// sentence. Several contexts serve one port with a listener each and ListenOptions::reuse_port.
//
// May complete without suspending? When a connection is waiting; as a task, see coro/task.h.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home.
// Who must outlive whom? The listener outlives accept(), and stays where it is meanwhile; closing
//   the listener ends accept() with kCancelled.
// Threads: the home thread of the context.
// Closing: when close() or the destructor returns, clients are refused and the port is free. After
// a
//   process on io_uring was killed, the kernel frees its port some 6 ms later: a supervisor that
//   restarts the process at once should try again.
// Errors: a port that is taken is kAlreadyExists, and names the address. Connections that died in
//   the queue are passed over. accept() does not fail for want of descriptors or memory, nor
//   because a firewall forbids a connection: accept() tries again every 100 ms, so that the server
//   survives. pauses() counts these retries, and the sink of the context hears one sentence for
//   each period of shortage. A period is over when accept() has met no shortage for 10 seconds.

#ifndef COAIO_CORO_IO_TCP_LISTENER_H_
#define COAIO_CORO_IO_TCP_LISTENER_H_

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/unique_fd.h"
#include "coro/io/non_blocking.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_stream.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/watched_fd.h"

namespace coaio {

struct ListenOptions {
  // For an IPv6 address: true takes IPv6 connections only; false also takes IPv4 connections, if
  // the address is "::". Empty: as sysctl net.ipv6.bindv6only says.
  std::optional<bool> v6only = std::nullopt;

  // Lets several sockets listen on one port (SO_REUSEPORT), if all of them say so; the kernel
  // gives each new connection to one of them.
  bool reuse_port = false;

  // How many connections may wait for accept(); sysctl net.core.somaxconn is the upper bound.
  int backlog = SOMAXCONN;
};

class TcpListener {
 public:
  // Port 0 takes a free port, which address() gives.
  static absl::StatusOr<TcpListener> listen(Context& context, const SocketAddress& address,
                                            const ListenOptions& options = {});

  // Takes a listening socket, and makes it non-blocking if it is not: so is then every duplicate of
  // the descriptor, in other processes too.
  TcpListener(Context& context, UniqueFd socket)
      : socket_(context, internal::make_non_blocking(std::move(socket))) {}

  // The next connection, on the context of the listener.
  Task<absl::StatusOr<TcpStream>> accept();

  absl::StatusOr<SocketAddress> address() const { return SocketAddress::of_socket(socket_.get()); }

  void close() { socket_.close(); }

  // How often accept() had to pause for want of descriptors or memory, or because of a firewall.
  std::uint64_t pauses() const { return pauses_; }

 private:
  explicit TcpListener(internal::WatchedFd socket) : socket_(std::move(socket)) {}

  void note_shortage(int error, absl::string_view reason);

  internal::WatchedFd socket_;
  std::uint64_t pauses_ = 0;
  std::optional<TimePoint> last_shortage_;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_TCP_LISTENER_H_
