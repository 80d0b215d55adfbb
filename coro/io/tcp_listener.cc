#include "coro/io/tcp_listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/cancel.h"
#include "coro/io/socket_address.h"
#include "coro/io/socket_error.h"
#include "coro/io/tcp_stream.h"
#include "coro/io/try_operation.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {
namespace {

constexpr std::chrono::milliseconds kPause{100};

// One accept4 that has an answer: a descriptor, or an errno.
class AcceptOne : public TryOperation {
 public:
  explicit AcceptOne(const WatchedFd& listener)
      : TryOperation(listener, Events::kIn, &AcceptOne::attempt) {}

  // The errno, or 0; ECANCELED if it was cancelled.
  int await_resume() const { return was_cancelled() ? ECANCELED : error_; }
  UniqueFd take() { return std::move(accepted_); }

 private:
  static Outcome attempt(TryOperation& operation) {
    auto& self = static_cast<AcceptOne&>(operation);
    self.accepted_ = UniqueFd(accept4(self.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    self.error_ = self.accepted_.valid() ? 0 : errno;
    return self.error_ == EAGAIN ? Outcome::kWouldBlock : Outcome::kDone;
  }

  UniqueFd accepted_;
  int error_ = 0;
};

// Of what would come again at once, why, and what helps. Null for everything else.
const char* reason_to_pause(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
      return "connections wait (raise ulimit -n?)";
    case ENOBUFS:
    case ENOMEM:
      return "connections wait for memory";
    case EPERM:
      return "a firewall refuses a connection, or a sandbox all of them";
    default:
      return nullptr;
  }
}

// accept(2) passes on errors of the connection that it would have returned.
bool is_of_one_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<TcpListener> TcpListener::listen(Context& context, const SocketAddress& address) {
  const auto failure = [&](const char* call) { return socket_error(errno, call, address); };
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return failure("socket for");
  }
  const int on = 1;
  // A server that is restarted takes its port at once, although old connections linger.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return failure("SO_REUSEADDR for");
  }
  if (bind(fd.get(), address.data(), address.size()) != 0) {
    return failure("bind");
  }
  if (::listen(fd.get(), SOMAXCONN) != 0) {
    return failure("listen on");
  }
  return TcpListener(context, std::move(fd));
}

Task<absl::StatusOr<TcpStream>> TcpListener::accept() {
  while (socket_.is_open()) {  // it may be closed during a pause
    AcceptOne one(socket_);
    const int error = co_await one;
    if (error == 0) {
      UniqueFd accepted = one.take();
      TcpStream::set_no_delay(accepted.get());
      complained_ = false;
      co_return TcpStream(socket_.context(), std::move(accepted));
    }
    if (error == ECANCELED) {
      co_return cancelled();
    }
    if (const char* reason = reason_to_pause(error); reason != nullptr) {
      if (!std::exchange(complained_, true)) {
        std::fprintf(stderr, "coaio: accept: %s; %s\n", strerrordesc_np(error), reason);
      }
      if (absl::Status status = co_await sleep_for(kPause); !status.ok()) {
        co_return status;
      }
    } else if (!is_of_one_connection(error)) {
      co_return errno_status(error, "accept");
    }
  }
  co_return cancelled();
}

}  // namespace coaio
