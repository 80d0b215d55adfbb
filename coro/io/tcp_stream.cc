#include "coro/io/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/cancel.h"
#include "coro/io/socket_address.h"
#include "coro/io/try_operation.h"
#include "coro/task.h"
#include "coro/yield.h"
#include "runtime/fd_table.h"
#include "runtime/watched_fd.h"

namespace coaio {

// --- reading and writing --------------------------------------------------------------------------------

bool TcpStream::ReadSome::attempt(TryOperation& operation) {
  auto& self = static_cast<ReadSome&>(operation);
  ssize_t count = 0;
  do {
    count = recv(self.fd(), self.buffer_.data(), self.buffer_.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    self.error_ = errno;
    return errno != EAGAIN;
  }
  self.error_ = 0;
  self.count_ = static_cast<std::size_t>(count);
  // A stream that gave less than was asked for has no more, and will report when it has: the next read
  // need not try. Not so once the peer has hung up or the like, for that is reported once only.
  if (self.count_ < self.buffer_.size() && count != 0 && !any(self.record().sticky)) {
    self.record().untried &= ~Events::kIn;
  }
  return true;
}

absl::StatusOr<std::size_t> TcpStream::ReadSome::await_resume() const {
  if (was_cancelled()) {
    return cancelled();
  }
  if (error_ != 0) {
    return errno_status(error_, "recv");
  }
  return count_;
}

bool TcpStream::WriteAll::attempt(TryOperation& operation) {
  auto& self = static_cast<WriteAll&>(operation);
  self.error_ = 0;
  while (!self.rest_.empty()) {
    const ssize_t count = send(self.fd(), self.rest_.data(), self.rest_.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      self.rest_.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      return false;
    } else if (errno != EINTR) {
      self.error_ = errno;
      return true;
    }
  }
  return true;
}

absl::Status TcpStream::WriteAll::await_resume() const {
  if (was_cancelled()) {
    return cancelled();
  }
  return error_ == 0 ? absl::OkStatus() : errno_status(error_, "send");
}

absl::Status TcpStream::shut_down_writing() {
  return ::shutdown(fd(), SHUT_WR) == 0 ? absl::OkStatus() : errno_status(errno, "shutdown");
}

// --- connecting -----------------------------------------------------------------------------------------

namespace {

// Waits until the socket can be written, which is when the connection stands or has failed.
class Connected : public TryOperation {
 public:
  explicit Connected(const WatchedFd& socket)
      : TryOperation(socket, Events::kOut, &Connected::attempt) {}
  absl::Status await_resume() const { return was_cancelled() ? cancelled() : absl::OkStatus(); }

 private:
  // Only a report counts: before it, the socket has no answer yet.
  static bool attempt(TryOperation& operation) {
    auto& self = static_cast<Connected&>(operation);
    return std::exchange(self.tried_, true);
  }

  bool tried_ = false;
};

absl::Status connection_error(int error, const SocketAddress& address) {
  return errno_status(error, absl::StrCat("connect to ", address.to_string()));
}

}  // namespace

Task<absl::StatusOr<TcpStream>> TcpStream::connect(SocketAddress address) {
  const TaskRef here = co_await this_task();
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    co_return connection_error(errno, address);
  }
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int error = ::connect(fd.get(), address.data(), address.size()) == 0 ? 0 : errno;
  TcpStream stream(here.context, std::move(fd));
  if (error == EINPROGRESS) {
    if (absl::Status status = co_await Connected(stream.socket_); !status.ok()) {
      co_return status;
    }
    socklen_t size = sizeof error;
    if (getsockopt(stream.fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  if (error != 0) {
    co_return connection_error(error, address);
  }
  co_return stream;
}

}  // namespace coaio
