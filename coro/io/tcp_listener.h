// TcpListener: accepts TCP connections.
//
//   absl::StatusOr<TcpListener> listener = TcpListener::listen(context, address);
//   for (;;) {
//     absl::StatusOr<TcpStream> stream = co_await listener->accept();
//     if (!stream.ok()) break;
//     connections.spawn(serve(*std::move(stream)));
//   }
//
// May complete without suspending? When a connection is waiting; as a task, see coro/task.h.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home.
// Who must outlive whom? The listener outlives accept(), and stays where it is meanwhile; closing
//   it ends accept() with kCancelled.
// Threads: the home thread of the context.
// Closing: when close() or the destructor returns, clients are refused and the port is free. After
// a
//   process on io_uring was killed, the kernel frees its port some 6 ms later: a supervisor that
//   restarts the process at once should try again.
// Errors: a port that is taken is kAlreadyExists, and names the address. accept() does not fail for
//   want of descriptors or memory, nor because a firewall refuses: it says so once on standard
//   error, and tries again every 100 ms, so that the server lives through it. Connections that died
//   in the queue are passed over.

#ifndef COAIO_CORO_IO_TCP_LISTENER_H_
#define COAIO_CORO_IO_TCP_LISTENER_H_

#include <utility>

#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_stream.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {

class TcpListener {
 public:
  // Port 0 takes a free one: address() tells which.
  static absl::StatusOr<TcpListener> listen(Context& context, const SocketAddress& address);

  // Takes a listening, non-blocking socket.
  TcpListener(Context& context, UniqueFd socket) : socket_(context, std::move(socket)) {}

  // The next connection, on the context of the listener.
  Task<absl::StatusOr<TcpStream>> accept();

  absl::StatusOr<SocketAddress> address() const { return SocketAddress::of_socket(socket_.get()); }

  void close() { socket_.close(); }

 private:
  WatchedFd socket_;
  bool complained_ = false;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_TCP_LISTENER_H_
