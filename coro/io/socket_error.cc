#include "coro/io/socket_error.h"

#include <sys/socket.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "coro/io/socket_address.h"

namespace coaio::internal {
namespace {

constexpr absl::string_view kNeedsScope =
    "a link-local IPv6 address needs its interface, as in fe80::1%eth0";

bool lacks_scope(const SocketAddress& address) {
  if (address.family() != AF_INET6) {
    return false;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.data());
  return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) && v6->sin6_scope_id == 0;
}

absl::string_view fix_of_socket(int error) {
  return error == EAFNOSUPPORT ? "this machine has no network of this address family" : "";
}

// For bind(2) and listen(2): with SO_REUSEADDR, listen(2) is the call that finds the port taken.
absl::string_view fix_of_bind(int error, const SocketAddress& address) {
  switch (error) {
    case EACCES:
      return address.port() != 0 && address.port() < 1024
                 ? "ports below 1024 need CAP_NET_BIND_SERVICE, or a lower sysctl "
                   "net.ipv4.ip_unprivileged_port_start"
                 : "";
    case EADDRINUSE:
      return address.port() == 0
                 ? "no port is free: widen sysctl net.ipv4.ip_local_port_range"
                 : "another socket has it: choose another port, or end the program that has it";
    case EADDRNOTAVAIL:
      return "choose an address of this machine, and one of a family that it has";
    case EINVAL:
      return lacks_scope(address) ? kNeedsScope : "";
    default:
      return "";
  }
}

absl::string_view fix_of_connect(int error, const SocketAddress& address) {
  switch (error) {
    case EACCES:
      return "a prohibiting route, or a firewall, of this machine forbids it: see ip route get";
    case EPERM:
      return "a firewall of this machine forbids it";
    case EADDRNOTAVAIL:
      return address.family() == AF_INET6
                 ? "this machine has no IPv6 address, or no local port is left for connections to "
                   "that address: see sysctl net.ipv4.ip_local_port_range"
                 : "no local port is left for connections to that address: close some, or widen "
                   "sysctl net.ipv4.ip_local_port_range";
    case ECONNREFUSED:
      return "nothing listens there: start the server, or check address and port";
    case ENETUNREACH:
      return "no route leads there: see ip route";
    case EINVAL:
      return lacks_scope(address) ? kNeedsScope : "";
    default:
      return "";
  }
}

absl::string_view words_of(SocketCall call) {
  switch (call) {
    case SocketCall::kSocket:
      return "socket for";
    case SocketCall::kSetOption:
      return "setsockopt for";
    case SocketCall::kBind:
      return "bind";
    case SocketCall::kListen:
      return "listen on";
    case SocketCall::kConnect:
      break;
  }
  return "connect to";
}

absl::string_view fix_of(int error, SocketCall call, const SocketAddress& address) {
  switch (call) {
    case SocketCall::kSocket:
      return fix_of_socket(error);
    case SocketCall::kSetOption:
      return "";
    case SocketCall::kBind:
    case SocketCall::kListen:
      return fix_of_bind(error, address);
    case SocketCall::kConnect:
      break;
  }
  return fix_of_connect(error, address);
}

}  // namespace

absl::Status socket_error(int error, SocketCall call, const SocketAddress& address) {
  return errno_status(error, absl::StrCat(words_of(call), " ", address.to_string()),
                      fix_of(error, call, address));
}

}  // namespace coaio::internal
