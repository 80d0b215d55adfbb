// Which remedy goes with which failure: one errno means different things to different calls.

#include "coro/io/socket_error.h"

#include <cerrno>
#include <string>

#include "absl/status/status.h"
#include "backends/errno_status.h"
#include "coro/io/socket_address.h"
#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

std::string words(int error, SocketCall call, const char* host = "127.0.0.1", int port = 80) {
  const absl::Status status =
      socket_error(error, call, *SocketAddress::parse(host, static_cast<std::uint16_t>(port)));
  CHECK(errno_of(status) == error);
  return std::string(status.message());
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST_CASE("the call and the address are named") {
  CHECK(has(words(EACCES, SocketCall::kBind), "bind 127.0.0.1:80: EACCES"));
  CHECK(has(words(EACCES, SocketCall::kConnect), "connect to 127.0.0.1:80: EACCES"));
}

TEST_CASE("connect() without a free port is not told to choose an address of this machine") {
  CHECK(has(words(EADDRNOTAVAIL, SocketCall::kBind), "choose an address of this machine"));
  const std::string connect = words(EADDRNOTAVAIL, SocketCall::kConnect);
  CHECK(!has(connect, "choose an address"));
  CHECK(has(connect, "ip_local_port_range"));
  CHECK(has(words(EADDRNOTAVAIL, SocketCall::kConnect, "::1"), "no IPv6 address"));
}

TEST_CASE("a prohibited route is not told to have CAP_NET_BIND_SERVICE") {
  CHECK(has(words(EACCES, SocketCall::kBind), "CAP_NET_BIND_SERVICE"));
  CHECK(!has(words(EACCES, SocketCall::kBind, "127.0.0.1", 8080), "CAP_NET_BIND_SERVICE"));
  CHECK(!has(words(EACCES, SocketCall::kConnect), "CAP_NET_BIND_SERVICE"));
  CHECK(has(words(EACCES, SocketCall::kConnect), "route"));
}

TEST_CASE("a port that is taken, and no port that is free, differ") {
  CHECK(has(words(EADDRINUSE, SocketCall::kBind), "choose another port"));
  CHECK(has(words(EADDRINUSE, SocketCall::kListen), "choose another port"));
  CHECK(has(words(EADDRINUSE, SocketCall::kBind, "127.0.0.1", 0), "ip_local_port_range"));
}

TEST_CASE("a link-local address without its interface is told so") {
  CHECK(has(words(EINVAL, SocketCall::kBind, "fe80::1"), "fe80::1%eth0"));
  CHECK(has(words(EINVAL, SocketCall::kConnect, "fe80::1"), "fe80::1%eth0"));
  CHECK(!has(words(EINVAL, SocketCall::kConnect, "fe80::1%lo"), "interface"));
}

}  // namespace
}  // namespace coaio::testing
