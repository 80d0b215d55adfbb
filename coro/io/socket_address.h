// SocketAddress: an IPv4 or IPv6 address with a port.
//
//   absl::StatusOr<SocketAddress> address = SocketAddress::resolve("localhost", 8080);
//
// Errors: kInvalidArgument or kNotFound names the host and what the resolver said.

#ifndef COAIO_CORO_IO_SOCKET_ADDRESS_H_
#define COAIO_CORO_IO_SOCKET_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio {

class SocketAddress {
 public:
  // A numeric address: "127.0.0.1", "::1".
  static absl::StatusOr<SocketAddress> parse(absl::string_view host, std::uint16_t port);

  // The same, or a name, of whose addresses the first is taken. Blocks the thread while the name is
  // looked up: for set-up.
  static absl::StatusOr<SocketAddress> resolve(absl::string_view host, std::uint16_t port);

  // Where a socket is bound.
  static absl::StatusOr<SocketAddress> of_socket(int fd);

  int family() const { return storage_.ss_family; }
  std::uint16_t port() const;
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }

  // "127.0.0.1:8080", "[::1]:8080".
  std::string to_string() const;

 private:
  SocketAddress() = default;
  static absl::StatusOr<SocketAddress> look_up(absl::string_view host, std::uint16_t port,
                                               int flags);

  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_SOCKET_ADDRESS_H_
