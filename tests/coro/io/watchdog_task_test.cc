// A task that takes too long is reported, and told by what has resumed it.

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/await_poll_source.h"
#include "coro/io/io_result.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/readiness.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/clock.h"
#include "runtime/watchdog.h"
#include "tests/coro/io/loopback.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using Reports = std::vector<std::string>;

// A watchdog on a clock by hand, on a context whose clock moves by hand too.
struct Hang {
  explicit Hang(Context& context)
      : watchdog(context, {.limit = 1s,
                           .report = [this](const std::string& s) { reports.push_back(s); },
                           .own_thread = false,
                           .clock = &clock}) {}

  // What the task does that takes two seconds.
  void operator()() {
    watchdog.check();
    clock.advance(2s);
    watchdog.check();
  }

  ManualClock clock;
  Reports reports;
  Watchdog watchdog;
};

std::string running(const std::string& what) { return what + " has been running for 2000 ms"; }

// Runs the task beside another one that does what it waits for.
Reports reports_of(Context& context, const std::function<Task<void>(Hang&)>& task,
                   const std::function<Task<void>()>& cause) {
  Hang hang(context);
  TaskGroup group({context, {}});
  group.spawn(task(hang));
  while (context.poll(false)) {
  }
  group.spawn(cause());
  const absl::Status status = run(context, [](TaskGroup& tasks) -> Task<absl::Status> {
    co_return co_await tasks.join();
  }(group));
  CHECK(status.ok());
  return hang.reports;
}

Task<void> write_a_byte(const UniqueFd& fd) {
  write_all(fd, "x");
  co_return;
}

Task<void> hang_after_readable(Hang& hang, int fd) {
  const absl::Status status = co_await readable(fd);
  CHECK(status.ok());
  hang();
}

TEST_CASE("a task that hangs after readable() is told by the descriptor") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    CHECK(reports_of(
              context, [&](Hang& hang) { return hang_after_readable(hang, pair.a.get()); },
              [&] { return write_a_byte(pair.b); }) ==
          Reports{running("a task that waited for descriptor " + std::to_string(pair.a.get()))});
  });
}

Task<void> hang_after_read_some(Hang& hang, TcpStream& stream) {
  std::array<char, 8> buffer{};
  const IoResult read = co_await stream.read_some(buffer);
  CHECK(read.ok());
  hang();
}

TEST_CASE("a task that hangs after read_some() is told by the descriptor of the stream") {
  on_every_context([](Context& context) {
    HalfStream half = make_half_stream(context);
    CHECK(
        reports_of(
            context, [&](Hang& hang) { return hang_after_read_some(hang, half.stream); },
            [&] { return write_a_byte(half.peer); }) ==
        Reports{running("a task that waited for descriptor " + std::to_string(half.stream.fd()))});
  });
}

Task<void> hang_after_accept(Hang& hang, TcpListener& listener) {
  const absl::StatusOr<TcpStream> stream = co_await listener.accept();
  CHECK(stream.ok());
  hang();
}

Task<void> connect_to(SocketAddress address) {
  const absl::StatusOr<TcpStream> stream = co_await TcpStream::connect(address);
  CHECK(stream.ok());
}

TEST_CASE("a task that hangs after accept() is told by a descriptor") {
  on_every_context([](Context& context) {
    TcpListener listener = listen_on_loopback(context);
    const Reports reports = reports_of(
        context, [&](Hang& hang) { return hang_after_accept(hang, listener); },
        [&] { return connect_to(address_of(listener)); });
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].starts_with("a task that waited for descriptor "));
  });
}

Task<void> hang_after_sleep(Hang& hang, ManualClock& clock) {
  const absl::Status status = co_await sleep_until(clock.now() + 1ns);
  CHECK(status.ok());
  hang();
}

Task<void> advance(ManualClock& clock) {
  clock.advance(1ns);
  co_return;
}

TEST_CASE("a task that hangs after sleep_for() is told as a task and not as a timer") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        CHECK(reports_of(
                  context, [&](Hang& hang) { return hang_after_sleep(hang, clock); },
                  [&] { return advance(clock); }) == Reports{running("a task (after sleep_for)")});
      },
      {.clock = &clock});
}

Task<void> hang_after_yield(Hang& hang) {
  co_await yield();
  hang();
}

Task<void> nothing() { co_return; }

TEST_CASE("a task that hangs after yield() is told as a task") {
  on_every_context([](Context& context) {
    CHECK(reports_of(context, hang_after_yield, nothing) == Reports{running("a task")});
  });
}

class Inbox final : public AwaitablePollSource {
 public:
  Inbox() = default;
  Inbox(const UniqueFd& doorbell, const char* name) : AwaitablePollSource(doorbell.get(), name) {}
  bool ready() override { return full; }
  std::atomic<bool> full{false};
};

Task<void> hang_after_source(Hang& hang, Inbox& inbox) {
  const absl::Status status = co_await poll_source(inbox);
  CHECK(status.ok());
  hang();
}

Task<void> fill_inbox(Inbox& inbox) {
  inbox.full = true;
  co_return;
}

TEST_CASE("a task that hangs after poll_source() is told by the source") {
  on_every_context([](Context& context) {
    const UniqueFd doorbell = make_eventfd(0);
    Inbox plain;
    Inbox named(doorbell, "inbox");
    const ScopedPollSource added(context, plain);
    const ScopedPollSource also_added(context, named);
    CHECK(reports_of(
              context, [&](Hang& hang) { return hang_after_source(hang, plain); },
              [&] { return fill_inbox(plain); }) ==
          Reports{running("a task that waited for a poll source")});
    CHECK(reports_of(
              context, [&](Hang& hang) { return hang_after_source(hang, named); },
              [&] { return fill_inbox(named); }) ==
          Reports{running("a task that waited for the poll source \"inbox\" with doorbell " +
                          std::to_string(doorbell.get()))});
  });
}

Task<void> hang_in_child(Hang& hang) {
  const auto child = [](Hang& in) -> Task<void> {
    co_await yield();
    in();
  };
  co_await child(hang);
  hang();
}

TEST_CASE("each resumption that hangs is reported, and the next one again") {
  on_every_context([](Context& context) {
    const auto twice = [](Hang& hang) -> Task<void> {
      co_await yield();
      hang();
      co_await yield();
      hang();
    };
    CHECK(reports_of(context, twice, nothing) == Reports{running("a task"), running("a task")});
    CHECK(reports_of(context, hang_in_child, nothing) == Reports{running("a task")});
  });
}

}  // namespace
}  // namespace coaio::testing
