// Closing is exact: when a stream, a listener or a borrowed descriptor is closed, the kernel has
// closed the file. Here for tasks; tests/runtime/closing_test.cc has the same for callbacks.

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/readiness.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/io/loopback.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"

namespace coaio::testing {
namespace {

// Runs turns until the requests of the tasks have been submitted to the kernel: a descriptor that
// is ready already needs a probe of the kernel, too.
Task<void> submitted() {
  const UniqueFd event = make_eventfd(1);
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = co_await readable(event.get());
    CHECK(status.ok());
  }
}

UniqueFd make_caller() { return checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

// The errno of connect(2), or 0.
int call(const UniqueFd& caller, const SocketAddress& address) {
  return connect(caller.get(), address.data(), address.size()) == 0 ? 0 : errno;
}

// Whether the peer of a closed connection reads an end of file. The loopback device may take a
// moment, but no turn of a context.
bool reads_end_of_file(const UniqueFd& peer) {
  pollfd entry{.fd = peer.get(), .events = POLLIN, .revents = 0};
  constexpr int kPatienceMs = 10'000;
  char byte = 0;
  return poll(&entry, 1, kPatienceMs) == 1 && recv(peer.get(), &byte, 1, 0) == 0;
}

TEST_CASE("a stream that is closed as the last act before run() returns sends its FIN") {
  on_every_context([](Context& context) {
    const UniqueFd peer = run(context, [](Context& c) -> Task<UniqueFd> {
      HalfStream half = make_half_stream(c);
      write_all(half.peer, "x");
      std::array<char, 8> buffer;
      const auto count = co_await half.stream.read_some(buffer);
      CHECK(count.ok());
      co_await submitted();
      co_return std::move(half.peer);
    }(context));
    CHECK(reads_end_of_file(peer));
  });
}

TEST_CASE("a task that closes its stream and then blocks for the peer does not deadlock") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      co_await submitted();
      half.stream.close();
      CHECK(reads_end_of_file(half.peer));
    }(context));
  });
}

TEST_CASE("a listener is closed and its port listened on again in one task") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      TcpListener first = listen_on_loopback(c);
      const SocketAddress address = address_of(first);
      const UniqueFd caller = make_caller();
      CHECK(call(caller, address) == 0);
      const auto accepted = co_await first.accept();
      CHECK(accepted.ok());
      co_await submitted();
      first.close();
      const auto second = TcpListener::listen(c, address);
      CHECK_MESSAGE(second.ok(), second.status().ToString());
    }(context));
  });
}

TEST_CASE("clients of a closed listener are refused at once") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      const SocketAddress address = address_of(listener);
      co_await submitted();
      listener.close();
      CHECK(call(make_caller(), address) == ECONNREFUSED);
    }(context));
  });
}

TEST_CASE("a listener that a task waits for is closed, and its clients are refused at once") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      const SocketAddress address = address_of(listener);
      TaskGroup group(co_await this_task());
      absl::Status status;
      group.spawn([](TcpListener& l, absl::Status& s) -> Task<void> {
        const auto accepted = co_await l.accept();
        s = accepted.status();
      }(listener, status));
      co_await submitted();
      listener.close();
      CHECK(call(make_caller(), address) == ECONNREFUSED);
      const absl::Status joined = co_await group.join();
      CHECK(joined.ok());
      CHECK(absl::IsCancelled(status));
    }(context));
  });
}

// Waits for a borrowed descriptor, and closes it when the wait has ended.
Task<void> wait_and_close(Pair& pair, bool& hung_up) {
  const absl::Status status = co_await readable(pair.a.get());
  CHECK(absl::IsCancelled(status));
  pair.a.reset();
  hung_up = has_hung_up(pair.b);
}

TEST_CASE("a borrowed descriptor is closed by close(2) when its wait was cancelled") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      std::vector<Pair> pairs;
      std::array<bool, 3> hung_up{};
      for (std::size_t i = 0; i < hung_up.size(); ++i) {
        pairs.push_back(make_unix_pair());
      }
      TaskGroup group(co_await this_task());
      for (std::size_t i = 0; i < hung_up.size(); ++i) {
        group.spawn(wait_and_close(pairs[i], hung_up[i]));
      }
      co_await submitted();
      group.cancel();
      const absl::Status joined = co_await group.join();
      CHECK(joined.ok());
      for (const bool one : hung_up) {
        CHECK(one);
      }
    }());
  });
}

TEST_CASE("a borrowed descriptor is closed by close(2) when its wait was met by an event") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Pair pair = make_unix_pair();
      write_all(pair.b, "x");
      const absl::Status status = co_await readable(pair.a.get());
      CHECK(status.ok());
      pair.a.reset();
      CHECK(has_hung_up(pair.b));
    }());
  });
}

// The kernel is asked once for all waits that one cancellation ends.
TEST_CASE("waits that are cancelled together are settled by one call of io_uring") {
  if (!tracing_works()) {
    return report_skipped("a sandbox or a debugger forbids ptrace");
  }
  const ContextOptions options{.backend = Backend::kIoUring};
  const absl::StatusOr<SelectedMonitor> io_uring = select_monitor(options.backend);
  if (!io_uring.ok()) {
    return report_skipped(std::string(io_uring.status().message()));
  }
  const std::map<long, int> calls = count_system_calls([&](CallCounter& counter) {
    const std::unique_ptr<Context> context = make_context(options);
    run(*context, [](CallCounter& c) -> Task<void> {
      std::array<Pair, 10> pairs;
      std::array<bool, 10> hung_up{};
      TaskGroup group(co_await this_task());
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        pairs[i] = make_unix_pair();
        group.spawn(wait_and_close(pairs[i], hung_up[i]));
      }
      co_await submitted();
      c.begin();
      group.cancel();
      const absl::Status joined = co_await group.join();
      c.end();
      CHECK(joined.ok());
    }(counter));
  });
  CHECK(calls.at(SYS_close) == 10);
  CHECK(calls.at(SYS_io_uring_enter) <= 2);  // one is the loop's own
}

}  // namespace
}  // namespace coaio::testing
