// TcpListener: accepts TCP connections.
//
//   absl::StatusOr<TcpListener> listener = TcpListener::listen(context, address);
//   for (;;) {
//     absl::StatusOr<TcpStream> stream = co_await listener->accept();
//     if (!stream.ok()) break;
//     connections.spawn(serve(*std::move(stream)));
//   }
//
// One task at a time calls accept(), which is checked. To serve one port on several contexts, give
// each context a listener with ListenOptions::reuse_port.
//
// May complete without suspending? Yes: when a connection is waiting; as a task, see coro/task.h.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home.
// What must outlive what? The listener outlives accept(), and is not moved meanwhile. Closing the
//   listener ends accept() with kCancelled.
// Threads: the home thread of the context.
// Closing: when close() or the destructor returns, clients are refused and the port is free. When a
//   process that uses io_uring is killed, the kernel frees its port some 6 ms later: a supervisor
//   that restarts the process at once should retry.
// Errors: listen() gives kAlreadyExists, with the address, for a port that is taken. accept() skips
//   connections that died in the queue. accept() does not fail for want of descriptors or memory,
//   or because a firewall forbids a connection: it retries every 100 ms, so that the server
//   survives. pauses() counts the retries. The sink of the context gets one sentence for each
//   period of shortage; a period ends when accept() has met no shortage for 10 seconds.

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
  // For an IPv6 address (IPV6_V6ONLY). True: the listener accepts IPv6 connections only. False: a
  // listener on "::" accepts IPv4 connections, too. Empty: sysctl net.ipv6.bindv6only decides.
  std::optional<bool> v6only = std::nullopt;

  // Lets several sockets listen on one port (SO_REUSEPORT), if all of them set this option; the
  // kernel gives each new connection to one of them.
  bool reuse_port = false;

  // How many connections may wait for accept(); sysctl net.core.somaxconn is the upper bound.
  int backlog = SOMAXCONN;
};

class TcpListener {
 public:
  // Port 0: the kernel chooses a free port, which address() returns.
  static absl::StatusOr<TcpListener> listen(Context& context, const SocketAddress& address,
                                            const ListenOptions& options = {});

  // Takes over a listening socket, and sets O_NONBLOCK, which is common to all duplicates of the
  // descriptor, also in other processes.
  TcpListener(Context& context, UniqueFd socket)
      : socket_(context, internal::make_non_blocking(std::move(socket))) {}

  // Waits for the next connection. The stream belongs to the context of the listener.
  Task<absl::StatusOr<TcpStream>> accept();

  absl::StatusOr<SocketAddress> address() const { return SocketAddress::of_socket(socket_.get()); }

  void close() { socket_.close(); }

  // The number of retries of accept() for want of descriptors or memory, or because of a firewall.
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
