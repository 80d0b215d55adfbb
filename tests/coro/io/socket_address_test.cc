#include "coro/io/socket_address.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "doctest/doctest.h"
#include "tests/support/descriptors.h"

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

TEST_CASE("what is not a socket has no address, and the error names the descriptor") {
  const absl::Status status = SocketAddress::of_socket(-1).status();
  CHECK(!status.ok());
  CHECK(status.message().find("-1") != std::string::npos);
}

TEST_CASE("a Unix socket has no IPv4 or IPv6 address, instead of the address :0") {
  const Pair pair = make_unix_pair();
  CHECK(absl::IsInvalidArgument(SocketAddress::of_socket(pair.a.get()).status()));
  CHECK(absl::IsInvalidArgument(SocketAddress::of_peer(pair.a.get()).status()));
}

TEST_CASE("a NUL byte does not cut a host") {
  const std::string evil("127.0.0.1\0.evil", 15);
  for (const absl::Status& status :
       {SocketAddress::parse(evil, 1).status(), SocketAddress::resolve(evil, 1).status()}) {
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message().find("127.0.0.1\\x00.evil") != std::string::npos);
  }
}

TEST_CASE("forms of IPv4 that other programs read differently are no addresses, nor names") {
  for (const char* host :
       {"0177.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "127.0.0.01", "127.0.0.1 x"}) {
    CAPTURE(host);
    CHECK(absl::IsInvalidArgument(SocketAddress::parse(host, 1).status()));
    CHECK(absl::IsInvalidArgument(SocketAddress::resolve(host, 1).status()));
  }
}

TEST_CASE("the scope of an IPv6 address is kept, and printed so that it can be parsed again") {
  const auto by_name = SocketAddress::parse("fe80::1%lo", 80);
  REQUIRE_MESSAGE(by_name.ok(), by_name.status().ToString());
  CHECK(reinterpret_cast<const sockaddr_in6*>(by_name->data())->sin6_scope_id ==
        if_nametoindex("lo"));
  CHECK(by_name->to_string() == "[fe80::1%lo]:80");
  const auto by_number =
      SocketAddress::parse("fe80::1%" + std::to_string(if_nametoindex("lo")), 80);
  REQUIRE(by_number.ok());
  CHECK(by_number->to_string() == by_name->to_string());
  CHECK(SocketAddress::parse("fe80::1%987654", 80)->to_string() == "[fe80::1%987654]:80");
  for (const char* host : {"fe80::1%", "fe80::1%no such interface", "127.0.0.1%lo"}) {
    CAPTURE(host);
    CHECK(absl::IsInvalidArgument(SocketAddress::parse(host, 1).status()));
  }
}

}  // namespace
}  // namespace coaio::testing
