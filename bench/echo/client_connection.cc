#include "bench/echo/client_connection.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>

#include "bench/echo/exit.h"
#include "bench/echo/steady_clock.h"

namespace coaio::bench {
namespace {

// Stays below the 28,232 ports that Linux hands out per source address by default; above it, the
// next loopback address is used.
constexpr std::uint32_t kConnectionsPerSourceAddress = 20'000;

int connect_to(const sockaddr_in& server, std::uint32_t number) {
  const int fd = check_call(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  check_call(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
  // An abortive close leaves no socket in TIME_WAIT, so runs that follow each other quickly cannot
  // run out of ports.
  const linger abort_on_close{.l_onoff = 1, .l_linger = 0};
  check_call(setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof(abort_on_close)),
             "SO_LINGER");
  if (number >= kConnectionsPerSourceAddress) {
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / kConnectionsPerSourceAddress);
    check_call(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)),
               "IP_BIND_ADDRESS_NO_PORT");
    check_call(bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof(source)),
               "bind to a loopback address");
  }
  check_call(connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof(server)), "connect");
  return fd;
}

[[noreturn]] void fail(RequestId id, const std::string& sentence) {
  exit_with(kExitFailed, "connection " + std::to_string(id.connection) + ", request " +
                             std::to_string(id.sequence) + ": " + sentence);
}

bool would_block() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

ClientConnection::ClientConnection(const sockaddr_in& server, std::uint32_t number,
                                   std::size_t message_size)
    : fd_(connect_to(server, number)),
      id_{.connection = number, .sequence = 0},
      size_(message_size),
      buffer_(message_size + 1) {}

ClientConnection::~ClientConnection() { close(fd_); }

void ClientConnection::start_request() {
  stamp_request();
  due_ns_ = steady_now_ns();
  send_without_blocking();
}

void ClientConnection::start_request(std::int64_t due_ns) {
  stamp_request();
  due_ns_ = due_ns;
  send_without_blocking();
}

void ClientConnection::stamp_request() {
  ++id_.sequence;
  sent_ = received_ = 0;
  stamp(std::span(buffer_).first(size_), id_);
}

void ClientConnection::send_without_blocking() {
  while (sent_ < size_ && send_some(MSG_DONTWAIT)) {
  }
}

bool ClientConnection::exchange() {
  send_without_blocking();
  while (!idle() && receive_some(MSG_DONTWAIT)) {
  }
  if (idle()) {
    finish_request();
  }
  return idle();
}

void ClientConnection::exchange_blocking() {
  while (sent_ < size_) {
    send_some(0);
  }
  while (!idle()) {
    receive_some(0);
  }
  finish_request();
}

bool ClientConnection::send_some(int flags) {
  const ssize_t n = send(fd_, buffer_.data() + sent_, size_ - sent_, flags | MSG_NOSIGNAL);
  if (n < 0 && would_block()) {
    return false;
  }
  if (n < 0) {
    fail(id_, std::string("send failed: ") + std::strerror(errno));
  }
  sent_ += static_cast<std::size_t>(n);
  return true;
}

bool ClientConnection::receive_some(int flags) {
  const ssize_t n = recv(fd_, buffer_.data() + received_, buffer_.size() - received_, flags);
  if (n < 0 && would_block()) {
    return false;
  }
  if (n < 0) {
    fail(id_, std::string("recv failed: ") + std::strerror(errno));
  }
  if (n == 0) {
    fail(id_, "the server closed the connection");
  }
  received_ += static_cast<std::size_t>(n);
  if (received_ > sent_) {
    fail(id_, "the server sent more than it was given");
  }
  return true;
}

void ClientConnection::finish_request() {
  finished_ns_ = steady_now_ns();
  if (!carries(std::span(buffer_).first(size_), id_)) {
    fail(id_, "the echo differs from the message");
  }
}

void ClientConnection::expect_silence() const {
  char byte;
  const ssize_t n = recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  if (n < 0 && would_block()) {
    return;
  }
  fail(id_,
       n > 0 ? "the server sent data without a request" : "the connection was lost while idle");
}

}  // namespace coaio::bench
