#include "coro/io/tcp_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
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
#include "runtime/time/clock.h"
#include "runtime/watched_fd.h"

namespace coaio {

using namespace internal;
namespace {

constexpr std::chrono::milliseconds kPause{100};

// A period of shortage ends when there was none for this long. With a shorter time, a server whose
// connections come and go at its limit would begin a new period with each connection.
constexpr std::chrono::seconds kCalm{10};

// Accepts one connection, or fails with an errno other than EAGAIN.
class AcceptOne : public TryOperation {
 public:
  explicit AcceptOne(const WatchedFd& listener)
      : TryOperation(listener, Events::kIn, &AcceptOne::attempt) {}

  // The errno, or 0; ECANCELED if it was cancelled.
  int await_resume() const { return was_cancelled() ? ECANCELED : error_; }

  UniqueFd take() { return std::move(accepted_); }

  // Empty if the peer's address is neither IPv4 nor IPv6.
  std::optional<SocketAddress> peer() const {
    const absl::StatusOr<SocketAddress> peer =
        SocketAddress::from(reinterpret_cast<const sockaddr*>(&peer_), peer_size_);
    return peer.ok() ? std::optional(*peer) : std::nullopt;
  }

 private:
  static Outcome attempt(TryOperation& operation) {
    auto& self = static_cast<AcceptOne&>(operation);
    self.peer_size_ = sizeof self.peer_;
    self.accepted_ = UniqueFd(accept4(self.fd(), reinterpret_cast<sockaddr*>(&self.peer_),
                                      &self.peer_size_, SOCK_NONBLOCK | SOCK_CLOEXEC));
    self.error_ = self.accepted_.valid() ? 0 : errno;
    return self.error_ == EAGAIN ? Outcome::kWouldBlock : Outcome::kDone;
  }

  UniqueFd accepted_;
  sockaddr_in6 peer_{};  // has room for an IPv4 address, too
  socklen_t peer_size_ = 0;
  int error_ = 0;
};

// Errors that accept4() would return again immediately: a hint for the operator. Null for all
// others.
const char* reason_to_pause(int error) {
  switch (error) {
    case EMFILE:
      return "connections wait until the process has a free descriptor: raise ulimit -n?";
    case ENFILE:
      return "connections wait until the machine has a free file: raise sysctl fs.file-max?";
    case ENOBUFS:
    case ENOMEM:
      return "connections wait for memory";
    case EPERM:
      return "a firewall forbids a connection, or a sandbox forbids all of them";
    default:
      return nullptr;
  }
}

// Whether accept(2) reports an error of the connection that it would have returned.
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

// Returns false, with errno, if an option was refused.
bool set_options(int fd, const SocketAddress& address, const ListenOptions& options) {
  const auto set = [fd](int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
  };
  // SO_REUSEADDR: a server that restarts can bind its port while old connections are in TIME_WAIT.
  return set(SOL_SOCKET, SO_REUSEADDR, 1) &&
         (!options.reuse_port || set(SOL_SOCKET, SO_REUSEPORT, 1)) &&
         (!options.v6only.has_value() || address.family() != AF_INET6 ||
          set(IPPROTO_IPV6, IPV6_V6ONLY, *options.v6only ? 1 : 0));
}

}  // namespace

absl::StatusOr<TcpListener> TcpListener::listen(Context& context, const SocketAddress& address,
                                                const ListenOptions& options) {
  const auto failure = [&](SocketCall call) { return socket_error(errno, call, address); };
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return failure(SocketCall::kSocket);
  }
  if (!set_options(fd.get(), address, options)) {
    return failure(SocketCall::kSetOption);
  }
  if (bind(fd.get(), address.data(), address.size()) != 0) {
    return failure(SocketCall::kBind);
  }
  if (::listen(fd.get(), options.backlog) != 0) {
    return failure(SocketCall::kListen);
  }
  return TcpListener(WatchedFd(context, std::move(fd)));
}

void TcpListener::note_shortage(int error, absl::string_view reason) {
  ++pauses_;
  const TimePoint now = socket_.context().now();
  const bool begins = !last_shortage_.has_value() || now - *last_shortage_ > kCalm;
  last_shortage_ = now;
  if (begins) {
    const absl::StatusOr<SocketAddress> here = address();
    socket_.context().tell_sink(absl::StrCat("accept on ", here.ok() ? here->to_string() : "?",
                                             ": ", strerrorname_np(error), " (",
                                             strerrordesc_np(error), "); ", reason));
  }
}

Task<absl::StatusOr<TcpStream>> TcpListener::accept() {
  while (socket_.is_open()) {  // the listener may be closed during a pause
    AcceptOne one(socket_);
    const int error = co_await one;
    if (error == 0) {
      UniqueFd accepted = one.take();
      TcpStream::set_no_delay(accepted.get());
      co_return TcpStream(WatchedFd(socket_.context(), std::move(accepted)), one.peer());
    }
    if (error == ECANCELED) {
      co_return cancelled();
    }
    if (const char* reason = reason_to_pause(error); reason != nullptr) {
      note_shortage(error, reason);
      absl::Status status = co_await sleep_for(kPause);
      if (!status.ok()) {
        co_return status;
      }
    } else if (!is_of_one_connection(error)) {
      co_return errno_status(error, "accept");
    }
  }
  co_return cancelled();
}

}  // namespace coaio
