#include "tests/support/descriptors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "backends/unique_fd.h"
#include "doctest/doctest.h"

namespace coaio::testing {

UniqueFd checked(int fd) {
  REQUIRE_MESSAGE(fd >= 0, "errno ", errno);
  return UniqueFd(fd);
}

Pair make_pipe() {
  std::array<int, 2> ends{-1, -1};
  REQUIRE(pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Pair make_unix_pair() {
  std::array<int, 2> ends{-1, -1};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Pair make_tcp_pair() {
  const UniqueFd listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(listener.get(), name, size) == 0);
  REQUIRE(listen(listener.get(), 1) == 0);
  REQUIRE(getsockname(listener.get(), name, &size) == 0);
  UniqueFd client = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(client.get(), name, size) == 0);
  REQUIRE(fcntl(client.get(), F_SETFL, O_NONBLOCK) == 0);
  UniqueFd server =
      checked(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return {std::move(server), std::move(client)};
}

UniqueFd make_eventfd(unsigned value) {
  return checked(eventfd(value, EFD_NONBLOCK | EFD_CLOEXEC));
}

UniqueFd make_periodic_timer(std::chrono::nanoseconds interval) {
  UniqueFd timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(interval.count())};
  const itimerspec every{.it_interval = time, .it_value = time};
  REQUIRE(timerfd_settime(timer.get(), 0, &every, nullptr) == 0);
  return timer;
}

bool allow_descriptors(std::size_t count) {
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = std::min<rlim_t>(std::max<rlim_t>(limit.rlim_cur, count), limit.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= count;
}

void write_all(const UniqueFd& fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = write(fd.get(), data.data(), data.size());
    REQUIRE_MESSAGE(count > 0, "errno ", errno);
    data.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string read_all(const UniqueFd& fd) {
  std::string all;
  std::array<char, 4096> block{};
  for (;;) {
    const ssize_t count = read(fd.get(), block.data(), block.size());
    if (count <= 0) {
      REQUIRE((count == 0 || errno == EAGAIN));
      return all;
    }
    all.append(block.data(), static_cast<std::size_t>(count));
  }
}

void fill(const UniqueFd& fd) {
  const std::string block(4096, 'x');
  while (write(fd.get(), block.data(), block.size()) > 0) {
  }
  // The last bytes may still find room where a whole block did not.
  while (write(fd.get(), "x", 1) > 0) {
  }
  REQUIRE(errno == EAGAIN);
}

bool has_hung_up(const UniqueFd& fd) {
  pollfd entry{.fd = fd.get(), .events = 0, .revents = 0};
  REQUIRE(poll(&entry, 1, 0) >= 0);
  return (entry.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace coaio::testing
