#include "bench/poll_policy/link.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

#include "backends/unique_fd.h"
#include "bench/echo/exit.h"

namespace coaio::bench {
namespace {

void no_delay(const UniqueFd& socket) {
  const int on = 1;
  check_call(setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
  check_call(fcntl(socket.get(), F_SETFL, O_NONBLOCK), "fcntl");
}

Link make_tcp_link() {
  const UniqueFd listener(check_call(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  check_call(bind(listener.get(), name, length), "bind");
  check_call(listen(listener.get(), 1), "listen");
  check_call(getsockname(listener.get(), name, &length), "getsockname");
  Link link;
  link.partner.in = UniqueFd(check_call(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  check_call(connect(link.partner.in.get(), name, length), "connect");
  link.loop.in =
      UniqueFd(check_call(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  no_delay(link.loop.in);
  no_delay(link.partner.in);
  return link;
}

UniqueFd make_eventfd() {
  return UniqueFd(check_call(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
}

UniqueFd duplicate(const UniqueFd& fd) {
  return UniqueFd(check_call(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0), "dup"));
}

Link make_eventfd_link() {
  Link link;
  link.loop.in = make_eventfd();
  link.loop.out = make_eventfd();
  link.partner.in = duplicate(link.loop.out);
  link.partner.out = duplicate(link.loop.in);
  return link;
}

}  // namespace

void LinkEnd::send() const {
  const std::uint64_t message = 1;
  check_call(write((out.valid() ? out : in).get(), &message, sizeof message), "write");
}

bool LinkEnd::receive() const {
  std::uint64_t message = 0;
  const ssize_t n = read(in.get(), &message, sizeof message);
  if (n < 0 && errno == EAGAIN) {
    return false;
  }
  check_call(n, "read");
  return n != 0;
}

void LinkEnd::wait() const {
  pollfd one{.fd = in.get(), .events = POLLIN, .revents = 0};
  while (check_call(poll(&one, 1, -1), "poll") == 0) {
  }
}

Link make_link(std::string_view transport) {
  return transport == "tcp" ? make_tcp_link() : make_eventfd_link();
}

}  // namespace coaio::bench
