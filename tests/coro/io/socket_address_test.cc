#include "coro/io/socket_address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

TEST_CASE("a numeric address is parsed, and printed as it was given") {
  const auto v4 = SocketAddress::parse("127.0.0.1", 80);
  REQUIRE(v4.ok());
  CHECK(v4->family() == AF_INET);
  CHECK(v4->port() == 80);
  CHECK(v4->size() == sizeof(sockaddr_in));
  CHECK(v4->to_string() == "127.0.0.1:80");

  const auto v6 = SocketAddress::parse("::1", 65535);
  REQUIRE(v6.ok());
  CHECK(v6->family() == AF_INET6);
  CHECK(v6->port() == 65535);
  CHECK(v6->to_string() == "[::1]:65535");
}

TEST_CASE("a name is no numeric address, and the error names it") {
  for (const char* host : {"localhost", "", "1.2.3.4.5", "300.0.0.1", "::g"}) {
    const absl::Status status = SocketAddress::parse(host, 1).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message().find("\"" + std::string(host) + "\"") != std::string::npos);
  }
}

TEST_CASE("a name is resolved, a numeric address too") {
  const auto name = SocketAddress::resolve("localhost", 7);
  REQUIRE_MESSAGE(name.ok(), name.status().ToString());
  CHECK(name->port() == 7);
  CHECK(SocketAddress::resolve("127.0.0.1", 7)->to_string() == "127.0.0.1:7");
}

TEST_CASE("a name that does not exist is an error that names it and the fix") {
  const absl::Status status = SocketAddress::resolve("no such host", 1).status();
  CHECK(absl::IsNotFound(status));
  CHECK(status.message().find("\"no such host\"") != std::string::npos);
  CHECK(status.message().find("check the name") != std::string::npos);
}

TEST_CASE("what is not a socket has no address") { CHECK(!SocketAddress::of_socket(-1).ok()); }

}  // namespace
}  // namespace coaio::testing
