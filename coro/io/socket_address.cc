#include "coro/io/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
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
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"

namespace coaio {
namespace {

std::string quoted(absl::string_view host) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(host), "\"");
}

absl::Status not_an_address(absl::string_view host, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot read ", quoted(host), " as an address: ", reason));
}

// The index of the interface that an IPv6 scope gives by name or by number; 0 if there is none.
unsigned interface_of(const std::string& scope) {
  unsigned index = if_nametoindex(scope.c_str());
  const bool numeric = index != 0 || absl::SimpleAtoi(scope, &index);
  return numeric ? index : 0;
}

// Whether getaddrinfo(3) would read the host as one of the shorter forms of an IPv4 address.
bool is_short_form(const std::string& host) {
  in_addr ignored;
  return inet_aton(host.c_str(), &ignored) != 0;
}

}  // namespace

absl::StatusOr<SocketAddress> SocketAddress::parse(absl::string_view host, std::uint16_t port) {
  if (host.find('\0') != absl::string_view::npos) {
    return not_an_address(host, "it contains a NUL byte");
  }
  if (host.find(':') != absl::string_view::npos) {
    return parse_v6(host, port);
  }
  SocketAddress address;
  address.storage_.v4 = {};
  if (inet_pton(AF_INET, std::string(host).c_str(), &address.storage_.v4.sin_addr) != 1) {
    return not_an_address(host,
                          "a numeric address is needed here, four decimal numbers without leading "
                          "zeros (127.0.0.1) or IPv6 (::1)");
  }
  address.storage_.v4.sin_family = AF_INET;
  address.storage_.v4.sin_port = htons(port);
  return address;
}

absl::StatusOr<SocketAddress> SocketAddress::parse_v6(absl::string_view host, std::uint16_t port) {
  const std::size_t percent = host.find('%');
  SocketAddress address;
  if (inet_pton(AF_INET6, std::string(host.substr(0, percent)).c_str(),
                &address.storage_.v6.sin6_addr) != 1) {
    return not_an_address(host, "it is no IPv6 address");
  }
  if (percent != absl::string_view::npos) {
    address.storage_.v6.sin6_scope_id = interface_of(std::string(host.substr(percent + 1)));
    if (address.storage_.v6.sin6_scope_id == 0) {
      return not_an_address(host, "no interface has the name or number after the %");
    }
  }
  address.storage_.v6.sin6_family = AF_INET6;
  address.storage_.v6.sin6_port = htons(port);
  return address;
}

absl::StatusOr<SocketAddress> SocketAddress::resolve(absl::string_view host, std::uint16_t port) {
  absl::StatusOr<SocketAddress> numeric = parse(host, port);
  const std::string name(host);
  // getaddrinfo() is for names only: no name has a colon, and a NUL byte would cut the name.
  if (numeric.ok() || host.find_first_of(absl::string_view(":\0", 2)) != absl::string_view::npos ||
      is_short_form(name)) {
    return numeric;
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat("cannot resolve ", quoted(host), ": ",
                     error == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(error),
                     "; check the name, or give a numeric address"));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  return from(found->ai_addr, found->ai_addrlen);
}

absl::StatusOr<SocketAddress> SocketAddress::from(const sockaddr* address, socklen_t size) {
  SocketAddress result;
  const sa_family_t family = size < sizeof(sa_family_t) ? AF_UNSPEC : address->sa_family;
  const bool is_ip = (family == AF_INET && size >= sizeof result.storage_.v4) ||
                     (family == AF_INET6 && size >= sizeof result.storage_.v6);
  if (!is_ip) {
    return absl::InvalidArgumentError(
        absl::StrCat("a socket of address family ", family, " has no IPv4 or IPv6 address"));
  }
  std::memcpy(&result.storage_.v6, address,
              family == AF_INET ? sizeof result.storage_.v4 : sizeof result.storage_.v6);
  return result;
}

absl::StatusOr<SocketAddress> SocketAddress::of_socket(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd, address, &size) != 0) {
    return errno_status(errno, absl::StrCat("getsockname of descriptor ", fd));
  }
  return from(address, size);
}

absl::StatusOr<SocketAddress> SocketAddress::of_peer(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getpeername(fd, address, &size) != 0) {
    return errno_status(errno, absl::StrCat("getpeername of descriptor ", fd));
  }
  return from(address, size);
}

std::string SocketAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &storage_.v4.sin_addr, text.data(), text.size());
    return absl::StrCat(text.data(), ":", port());
  }
  inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text.data(), text.size());
  std::string scope;
  if (storage_.v6.sin6_scope_id != 0) {
    std::array<char, IF_NAMESIZE> name{};
    scope = if_indextoname(storage_.v6.sin6_scope_id, name.data()) != nullptr
                ? absl::StrCat("%", name.data())
                : absl::StrCat("%", storage_.v6.sin6_scope_id);
  }
  return absl::StrCat("[", text.data(), scope, "]:", port());
}

}  // namespace coaio
