#include "bench/echo/client_connection.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "backends/unique_fd.h"
#include "bench/echo/steady_clock.h"

namespace coaio::bench {
namespace {

constexpr std::size_t kSize = 64;
constexpr std::int64_t kSecond = 1'000'000'000;

// A listener and, once a client is there, the server's end of the connection.
class Server {
 public:
  Server() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address_;
    REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address_), length) == 0);
    REQUIRE(listen(listener_.get(), 1) == 0);
    REQUIRE(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &length) == 0);
  }

  const sockaddr_in& address() const { return address_; }

  void echo_one() {
    if (!connection_.valid()) {
      connection_ = UniqueFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    std::array<char, kSize> buffer;
    REQUIRE(recv(connection_.get(), buffer.data(), kSize, MSG_WAITALL) == kSize);
    REQUIRE(send(connection_.get(), buffer.data(), kSize, MSG_NOSIGNAL) == kSize);
  }

 private:
  UniqueFd listener_;
  UniqueFd connection_;
  sockaddr_in address_{};
};

TEST_CASE("a request that is sent later than it was due counts its delay as latency") {
  Server server;
  ClientConnection client(server.address(), 0, kSize);
  const std::int64_t due_ns = steady_now_ns() - 3600 * kSecond;
  client.start_request(due_ns);
  server.echo_one();
  client.exchange_blocking();
  CHECK(client.latency_ns() == client.finished_ns() - due_ns);
  CHECK(client.latency_ns() > 3600 * kSecond);
}

TEST_CASE("a request without a due time is due when it is sent") {
  Server server;
  ClientConnection client(server.address(), 0, kSize);
  const std::int64_t before_ns = steady_now_ns();
  client.start_request();
  server.echo_one();
  client.exchange_blocking();
  CHECK(client.latency_ns() >= 0);
  CHECK(client.latency_ns() <= client.finished_ns() - before_ns);
}

}  // namespace
}  // namespace coaio::bench
