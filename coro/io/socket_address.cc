#include "coro/io/socket_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"

namespace coaio {

absl::StatusOr<SocketAddress> SocketAddress::parse(absl::string_view host, std::uint16_t port) {
  return look_up(host, port, AI_NUMERICHOST);
}

absl::StatusOr<SocketAddress> SocketAddress::resolve(absl::string_view host, std::uint16_t port) {
  return look_up(host, port, 0);
}

absl::StatusOr<SocketAddress> SocketAddress::look_up(absl::string_view host, std::uint16_t port,
                                                     int flags) {
  addrinfo hints{};
  hints.ai_flags = flags | AI_NUMERICSERV;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(std::string(host).c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (error != 0) {
    const bool numeric = (flags & AI_NUMERICHOST) != 0;
    return absl::Status(
        numeric ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kNotFound,
        absl::StrCat("cannot resolve \"", host,
                     "\": ", error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error),
                     numeric ? "; a numeric address is needed here"
                             : "; check the name, or give a numeric address"));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  SocketAddress address;
  std::memcpy(&address.storage_, found->ai_addr, found->ai_addrlen);
  address.size_ = found->ai_addrlen;
  return address;
}

absl::StatusOr<SocketAddress> SocketAddress::of_socket(int fd) {
  SocketAddress address;
  address.size_ = sizeof address.storage_;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) != 0) {
    return errno_status(errno, "getsockname");
  }
  return address;
}

std::uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port
                                    : reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

std::string SocketAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_v6 = family() == AF_INET6;
  const void* host =
      is_v6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr)
            : &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr;
  inet_ntop(family(), host, text.data(), text.size());
  return is_v6 ? absl::StrCat("[", text.data(), "]:", port())
               : absl::StrCat(text.data(), ":", port());
}

}  // namespace coaio
