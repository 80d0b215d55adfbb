// Closing is exact: when close(2) returns, the kernel has closed the file. Here for callbacks;
// tests/coro/io/closing_test.cc has the same for tasks.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/watched_fd.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"

namespace coaio::testing {

using namespace internal;
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd make_socket() {
  return checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Not valid if the port is taken.
UniqueFd listen_on(std::uint16_t port, bool shared = false) {
  UniqueFd fd = make_socket();
  const int on = shared ? 1 : 0;
  REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
  const sockaddr_in address = loopback(port);
  const bool listens =
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      listen(fd.get(), SOMAXCONN) == 0;
  return listens ? std::move(fd) : UniqueFd();
}

std::uint16_t port_of(const UniqueFd& listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

// A handler for reading that is never called.
FdHandlers silent() {
  return {.read = [] { FAIL("called"); }, .write = nullptr};
}

// The kernel gets to know what is watched.
void look(Context& context) {
  while (context.poll(false)) {
  }
}

TEST_CASE("a callback that closes a descriptor and then waits for the peer does not deadlock") {
  on_every_context([](Context& context) {
    Pair handled = make_unix_pair();
    Pair owned = make_unix_pair();
    WatchedFd owner(context, std::move(owned.a));
    context.set_fd_handler(handled.a.get(), silent());
    look(context);
    bool called = false;
    BottomHalf closer(context, [&] {
      called = true;
      context.set_fd_handler(handled.a.get(), {});
      handled.a.reset();
      CHECK(has_hung_up(handled.b));
      owner.close();
      CHECK(has_hung_up(owned.b));
    });
    closer.schedule();
    context.poll(true);
    CHECK(called);
  });
}

TEST_CASE("a handler may close its own descriptor, and the peer sees it at once") {
  on_every_context([](Context& context) {
    Pair pair = make_unix_pair();
    bool called = false;
    context.set_fd_handler(pair.a.get(), {.read =
                                              [&] {
                                                called = true;
                                                context.set_fd_handler(pair.a.get(), {});
                                                pair.a.reset();
                                                CHECK(has_hung_up(pair.b));
                                              },
                                          .write = nullptr});
    look(context);
    write_all(pair.b, "x");
    while (!called) {
      context.poll(true);
    }
  });
}

TEST_CASE("a pipe is broken as soon as its watched read end is closed") {
  on_every_context([](Context& context) {
    Pair pipe = make_pipe();
    WatchedFd reader(context, std::move(pipe.a));
    look(context);
    CHECK(!has_hung_up(pipe.b));
    reader.close();
    CHECK(has_hung_up(pipe.b));
  });
}

// The home thread comes to no other wait before the other thread has looked.
TEST_CASE("a handler that another thread has removed and waited for holds no file") {
  on_every_context([](Context& context) {
    Pair pair = make_unix_pair();
    context.set_fd_handler(pair.a.get(), silent());
    look(context);
    std::thread other([&] {
      context.remove_fd_handler_and_wait(pair.a.get());
      pair.a.reset();
      CHECK(has_hung_up(pair.b));
    });
    while (!context.poll(true)) {
    }
    other.join();
  });
}

TEST_CASE("a poll source that is removed holds no file on account of its doorbell") {
  on_every_context([](Context& context) {
    Pair pipe = make_pipe();
    FakePollSource slot(pipe.a);
    {
      const ScopedPollSource added(context, slot);
      look(context);
    }
    pipe.a.reset();
    CHECK(has_hung_up(pipe.b));
  });
}

TEST_CASE("a closed member of a SO_REUSEPORT group takes no connection") {
  on_every_context([](Context& context) {
    UniqueFd first = listen_on(0, true);
    REQUIRE(first.valid());
    const std::uint16_t port = port_of(first);
    UniqueFd second = listen_on(port, true);
    REQUIRE(second.valid());
    WatchedFd leaving(context, std::move(first));
    look(context);
    leaving.close();
    const sockaddr_in address = loopback(port);
    for (int i = 0; i < 20; ++i) {
      const UniqueFd caller = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(connect(caller.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
              0);
      CHECK(UniqueFd(accept(second.get(), nullptr, nullptr)).valid());
    }
  });
}

TEST_CASE("a port is free when its listener and the context have been destroyed, 50 times of 50") {
  constexpr int kTimes = 50;
  for (const Backend backend : available_back_ends()) {
    int free = 0;
    for (int i = 0; i < kTimes; ++i) {
      std::uint16_t port = 0;
      {
        const std::unique_ptr<Context> context = make_context({.backend = backend});
        const bool owned = i % 2 == 0;
        UniqueFd listener = listen_on(0);
        const int fd = listener.get();
        port = port_of(listener);
        WatchedFd owner;
        if (owned) {
          owner = WatchedFd(*context, std::move(listener));
        } else {
          context->set_fd_handler(fd, silent());
        }
        look(*context);
        if (!owned) {
          context->set_fd_handler(fd, {});
        }
      }
      free += listen_on(port).valid() ? 1 : 0;
    }
    CAPTURE(static_cast<int>(backend));
    CHECK(free == kTimes);
  }
}

TEST_CASE("a context that is destroyed with handlers holds no file on their account") {
  for (const Backend backend : available_back_ends()) {
    std::unique_ptr<Context> context = make_context({.backend = backend});
    Pair pair = make_unix_pair();
    context->set_fd_handler(pair.a.get(), silent());
    look(*context);
    context.reset();
    pair.a.reset();
    CHECK(has_hung_up(pair.b));
  }
}

TEST_CASE("a forked child keeps no connection open that its parent's destroyed context had") {
  for (const Backend backend : available_back_ends()) {
    std::unique_ptr<Context> context = make_context({.backend = backend});
    look(*context);
    const IdleChild child;
    Pair handled = make_unix_pair();  // which the child does not have
    context->set_fd_handler(handled.a.get(), silent());
    Pair owned = make_unix_pair();
    WatchedFd owner(*context, std::move(owned.a));
    look(*context);
    owner.close();
    CHECK(has_hung_up(owned.b));
    context.reset();
    handled.a.reset();
    CHECK(has_hung_up(handled.b));
  }
}

TEST_CASE("in a forked child a watched descriptor is closed without disturbing the parent") {
  on_every_context([](Context& context) {
    Pair pair = make_unix_pair();
    WatchedFd owner(context, std::move(pair.a));
    look(context);
    CHECK(run_in_child([&]() -> std::string {
            owner.close();
            return "closed";
          }) == "closed");
    CHECK(!has_hung_up(pair.b));
    owner.close();
    CHECK(has_hung_up(pair.b));
  });
}

TEST_CASE("a context that has moved to another back end holds no file on account of the old one") {
  const std::unique_ptr<Context> context = make_context({.epoll_threshold = 3});
  Pair pairs[] = {make_unix_pair(), make_unix_pair(), make_unix_pair(), make_unix_pair()};
  for (Pair& pair : pairs) {
    context->set_fd_handler(pair.a.get(), silent());
    look(*context);
  }
  for (Pair& pair : pairs) {
    context->set_fd_handler(pair.a.get(), {});
    pair.a.reset();
    CHECK(has_hung_up(pair.b));
  }
}

}  // namespace
}  // namespace coaio::testing
