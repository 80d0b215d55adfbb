#include "coro/io/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/cancel.h"
#include "coro/io/io_result.h"
#include "coro/io/socket_address.h"
#include "coro/io/socket_error.h"
#include "coro/io/try_operation.h"
#include "coro/task.h"
#include "coro/this_task.h"
#include "runtime/fd_table.h"
#include "runtime/watched_fd.h"

namespace coaio {

using namespace internal;
namespace {

// The number of bytes that one task may write before it yields: some 100 µs of copying.
constexpr std::size_t kMostInARow = std::size_t{1} << 20;

}  // namespace

// --- reading and writing ------------------------------------------------------------------------

TryOperation::Outcome TcpStream::ReadSome::attempt(TryOperation& operation) {
  auto& self = static_cast<ReadSome&>(operation);
  ssize_t count = 0;
  do {
    count = recv(self.fd(), self.buffer_.data(), self.buffer_.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    self.error_ = errno;
    return errno == EAGAIN ? Outcome::kWouldBlock : Outcome::kDone;
  }
  self.error_ = 0;
  self.count_ = static_cast<std::size_t>(count);
  // A short read means that the socket has no more data, and that the kernel will report new data:
  // the next read waits without trying. This does not hold after a hang-up or an error, which the
  // kernel reports only once.
  if (self.count_ < self.buffer_.size() && count != 0 && self.record().short_read_exhausts()) {
    self.record().mark_exhausted(Events::kIn);
  }
  return Outcome::kDone;
}

IoResult TcpStream::ReadSome::await_resume() const {
  if (was_cancelled()) {
    return {0, cancelled()};
  }
  if (error_ != 0) {
    return {0, errno_status(error_, "recv")};
  }
  return IoResult(count_);
}

// Yields after kMostInARow bytes: if the peer reads as fast as this task writes, send(2) never
// blocks.
TryOperation::Outcome TcpStream::WriteAll::attempt(TryOperation& operation) {
  auto& self = static_cast<WriteAll&>(operation);
  self.error_ = 0;
  absl::string_view share = self.rest_.substr(0, kMostInARow);
  while (!share.empty()) {
    const ssize_t count = send(self.fd(), share.data(), share.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      share.remove_prefix(static_cast<std::size_t>(count));
      self.rest_.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      return Outcome::kWouldBlock;
    } else if (errno != EINTR) {
      self.error_ = errno;
      return Outcome::kDone;
    }
  }
  return self.rest_.empty() ? Outcome::kDone : Outcome::kYield;
}

IoResult TcpStream::WriteAll::await_resume() const {
  const std::size_t count = size_ - rest_.size();
  if (was_cancelled()) {
    return {count, cancelled()};
  }
  if (error_ != 0) {
    return {count, errno_status(error_, "send")};
  }
  return IoResult(count);
}

absl::Status TcpStream::shutdown_write() {
  if (!socket_.is_open()) {
    return cancelled();
  }
  return ::shutdown(fd(), SHUT_WR) == 0 ? absl::OkStatus() : errno_status(errno, "shutdown");
}

// --- connecting ---------------------------------------------------------------------------------

namespace {

// Waits until the connection is established or has failed.
class Connected : public TryOperation {
 public:
  explicit Connected(const WatchedFd& socket)
      : TryOperation(socket, Events::kOut, &Connected::attempt) {}

  // The errno, or 0; ECANCELED if it was cancelled.
  int await_resume() const { return was_cancelled() ? ECANCELED : error_; }

 private:
  // SO_ERROR gives an error once, and then 0. With 0, the event may have been spurious: the socket
  // is connected if it has a peer.
  static Outcome attempt(TryOperation& operation) {
    auto& self = static_cast<Connected&>(operation);
    socklen_t size = sizeof self.error_;
    if (getsockopt(self.fd(), SOL_SOCKET, SO_ERROR, &self.error_, &size) != 0) {
      self.error_ = errno;
    }
    sockaddr_storage peer;
    size = sizeof peer;
    const bool decided =
        self.error_ != 0 || getpeername(self.fd(), reinterpret_cast<sockaddr*>(&peer), &size) == 0;
    return decided ? Outcome::kDone : Outcome::kWouldBlock;
  }

  int error_ = 0;
};

// TCP lets two sockets connect to each other at the same time. So a socket whose ephemeral port is
// the port to which it connects, and on which no socket listens, connects to itself.
bool is_connected_to_itself(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t own_size = sizeof own;
  socklen_t peer_size = sizeof peer;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 &&
         own_size == peer_size && std::memcmp(&own, &peer, own_size) == 0;
}

}  // namespace

Task<absl::StatusOr<TcpStream>> TcpStream::connect(SocketAddress address) {
  const TaskEnv here = co_await this_task();
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    co_return socket_error(errno, SocketCall::kSocket, address);
  }
  set_no_delay(fd.get());
  int error = ::connect(fd.get(), address.data(), address.size()) == 0 ? 0 : errno;
  TcpStream stream(WatchedFd(here.context, std::move(fd)), address);
  if (error == EINPROGRESS || error == EINTR) {  // in both cases the kernel goes on connecting
    error = co_await Connected(stream.socket_);
  }
  if (error == ECANCELED) {
    co_return cancelled();
  }
  if (error == 0 && is_connected_to_itself(stream.fd())) {
    error = ECONNREFUSED;
  }
  if (error != 0) {
    co_return socket_error(error, SocketCall::kConnect, address);
  }
  co_return stream;
}

void TcpStream::set_no_delay(int fd) {
  const int on = 1;
  // Fails only if the connection has failed already, which its first operation reports.
  static_cast<void>(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

}  // namespace coaio
