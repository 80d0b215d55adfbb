// The floor for readiness: an echo server on bare epoll. Edge-triggered and watched once for both
// directions, so that in steady state a message costs recv, send and epoll_wait, and no epoll_ctl.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/echo/exit.h"
#include "bench/echo/server_setup.h"

namespace coaio::bench {
namespace {

constexpr std::string_view kUsage = R"(usage: raw_epoll_server [--port=PORT] [--wait=block|spin]

  --port=PORT          on 127.0.0.1; 0 lets the kernel choose (default)
  --wait=block|spin    sleep in epoll_wait (default), or call it with a timeout of zero
)";

class Connection {
 public:
  explicit Connection(int fd)
      : fd_(fd), buffer_(std::make_unique_for_overwrite<char[]>(kBufferSize)) {}
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Echoes until the socket has nothing more to give or to take. False when the connection is over.
  bool on_ready(std::uint32_t events) {
    // An end of file or an error makes no further edge, so only with one of them must a short recv
    // be followed by another.
    const bool drain = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    for (;;) {
      if (sent_ < received_ && !flush()) {
        return errno == EAGAIN;
      }
      const ssize_t n = recv(fd_, buffer_.get(), kBufferSize, 0);
      if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
      }
      received_ = static_cast<std::size_t>(n);
      sent_ = 0;
      if (!flush()) {
        return errno == EAGAIN;
      }
      if (received_ < kBufferSize && !drain) {
        return true;
      }
    }
  }

 private:
  // False, with errno set, when not everything could be sent.
  bool flush() {
    while (sent_ < received_) {
      const ssize_t n = send(fd_, buffer_.get() + sent_, received_ - sent_, MSG_NOSIGNAL);
      if (n < 0) {
        return false;
      }
      sent_ += static_cast<std::size_t>(n);
    }
    return true;
  }

  int fd_;
  std::size_t received_ = 0;
  std::size_t sent_ = 0;
  std::unique_ptr<char[]> buffer_;
};

class Server {
 public:
  explicit Server(const ServerOptions& options)
      : timeout_(options.spin ? 0 : -1),
        epoll_fd_(check_call(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        termination_(termination_descriptor()),
        listener_(listen_on_loopback(options.port)) {
    watch(termination_, EPOLLIN);
    watch(listener_, EPOLLIN | EPOLLET);
  }

  void run() {
    announce(listener_);
    std::array<epoll_event, 256> events;
    for (;;) {
      const int n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout_);
      if (n < 0 && errno == EINTR) {
        continue;
      }
      check_call(n, "epoll_wait");
      for (int i = 0; i < n; ++i) {
        if (events[i].data.fd == termination_) {
          return;
        }
        dispatch(events[i]);
      }
    }
  }

 private:
  void watch(int fd, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    check_call(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }

  void dispatch(const epoll_event& event) {
    if (event.data.fd == listener_) {
      return accept_all();
    }
    // A batch names an fd at most once, so a connection that ends here is not met again in it.
    std::unique_ptr<Connection>& connection = connections_[static_cast<std::size_t>(event.data.fd)];
    if (!connection->on_ready(event.events)) {
      connection.reset();
    }
  }

  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0 && errno == EAGAIN) {
        return;
      }
      if (fd < 0 && (errno == ECONNABORTED || errno == EINTR)) {
        continue;
      }
      check_call(fd, "accept4");
      if (connections_.size() <= static_cast<std::size_t>(fd)) {
        connections_.resize(static_cast<std::size_t>(fd) + 1);
      }
      connections_[static_cast<std::size_t>(fd)] = std::make_unique<Connection>(fd);
      watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    }
  }

  int timeout_;
  int epoll_fd_;
  int termination_;
  int listener_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by fd
};

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  coaio::bench::Server server(coaio::bench::parse_server_options(argc, argv, coaio::bench::kUsage));
  server.run();
  coaio::bench::print_cpu_time();
  return 0;
}
