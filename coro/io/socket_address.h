// SocketAddress: an IPv4 or IPv6 address with a port.
//
//   absl::StatusOr<SocketAddress> address = SocketAddress::resolve("localhost", 8080);
//
// A numeric address has the form that inet_pton(3) reads: four decimal numbers, or IPv6; an IPv6
// address may have a scope ("fe80::1%eth0"). The shorter forms of inet_aton(3), such as "127.1" and
// "0177.0.0.1", are refused, because other programs read them as other addresses.
//
// Threads: a value; threads that share one need a lock.
// Errors: kInvalidArgument or kNotFound, with the host and the reason.

#ifndef COAIO_CORO_IO_SOCKET_ADDRESS_H_
#define COAIO_CORO_IO_SOCKET_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio {

class SocketAddress {
 public:
  // A numeric address: "127.0.0.1", "::1", "fe80::1%eth0".
  static absl::StatusOr<SocketAddress> parse(absl::string_view host, std::uint16_t port);

  // A numeric address, or a host name, of which the first address is taken. For set-up: the lookup
  // of a name blocks the thread.
  static absl::StatusOr<SocketAddress> resolve(absl::string_view host, std::uint16_t port);

  // An address that a system call returned. kInvalidArgument if it is neither IPv4 nor IPv6.
  static absl::StatusOr<SocketAddress> from(const sockaddr* address, socklen_t size);

  // The local address of a socket: getsockname(2).
  static absl::StatusOr<SocketAddress> of_socket(int fd);

  // The address of the other end of a connected socket: getpeername(2).
  static absl::StatusOr<SocketAddress> of_peer(int fd);

  int family() const { return storage_.any.sa_family; }
  std::uint16_t port() const {
    return ntohs(family() == AF_INET6 ? storage_.v6.sin6_port : storage_.v4.sin_port);
  }
  const sockaddr* data() const { return &storage_.any; }
  socklen_t size() const { return family() == AF_INET6 ? sizeof storage_.v6 : sizeof storage_.v4; }

  // "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:8080".
  std::string to_string() const;

 private:
  SocketAddress() : storage_{.v6 = {}} {}

  static absl::StatusOr<SocketAddress> parse_v6(absl::string_view host, std::uint16_t port);

  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };

  Storage storage_;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_SOCKET_ADDRESS_H_
