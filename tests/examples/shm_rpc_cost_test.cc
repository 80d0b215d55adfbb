// What a call through shared memory costs while both sides poll: no system call, on either side.

#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/unique_fd.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/this_task.h"
#include "doctest/doctest.h"
#include "examples/shm_rpc/connection.h"
#include "examples/shm_rpc/conversation.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/scoped_poll_source.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"
#include "tests/support/test_timeout.h"

namespace shm_rpc {
namespace {

using coaio::Backend;
using coaio::Context;
using coaio::ContextOptions;
using coaio::Task;
using coaio::UniqueFd;
using namespace coaio::testing;
using namespace std::chrono_literals;

constexpr int kCalls = 500;

// Begins and ends counting in the middle, when nothing is done for the first time any more.
void count(CallCounter* counter, int call) {
  if (counter != nullptr && call == kCalls) {
    counter->begin();
  } else if (counter != nullptr && call == 2 * kCalls) {
    counter->end();
  }
}

Task<absl::Status> ask(Connection& server, CallCounter* counter) {
  absl::Status status;
  for (int i = 0; i < 3 * kCalls && status.ok(); ++i) {
    count(counter, i);
    status = co_await server.outbox().send("ping");
    if (status.ok()) {
      status = (co_await server.inbox().receive()).status();
    }
  }
  co_return status;
}

Task<absl::Status> answer(Connection& client, CallCounter* counter) {
  absl::Status status;
  for (int i = 0; i < 3 * kCalls && status.ok(); ++i) {
    count(counter, i);
    status = (co_await client.inbox().receive()).status();
    if (status.ok()) {
      status = co_await client.outbox().send("pong");
    }
  }
  co_return status;
}

// Nothing but the rings: no descriptor is watched besides their doorbells.
Task<absl::Status> alone(Connection& connection, Task<absl::Status> work) {
  const coaio::TaskEnv here = co_await coaio::this_task();
  const coaio::ScopedPollSource inbox(here.context, connection.inbox());
  const coaio::ScopedPollSource outbox(here.context, connection.outbox());
  co_return co_await std::move(work);
}

enum class Traced { kClient, kServer };
using Wrap = Task<absl::Status> (*)(Connection&, Task<absl::Status>);

// The calls of one side during kCalls calls, with a policy under which neither side sleeps.
std::map<long, int> count_calls(Backend backend, Traced traced, Wrap wrap,
                                const coaio::PollPolicy& polling = coaio::PollFixed{20s}) {
  return count_system_calls([=](CallCounter& counter) {
    const TestTimeout patience;
    const ContextOptions options{
        .backend = backend, .polling = polling, .polling_gives_way = false};
    std::array<int, 2> fds;
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data());
    absl::StatusOr<Connection> server = Connection::offer(UniqueFd(fds[0]));
    absl::StatusOr<Connection> client = Connection::accept(UniqueFd(fds[1]));
    const auto play = [&](Connection& connection, auto part, CallCounter* c) {
      const absl::Status status =
          coaio::run(*make_context(options), wrap(connection, part(connection, c)));
      coaio::internal::check(status.ok(), "the conversation fails");
    };
    if (traced == Traced::kClient) {
      std::thread other([&] { play(*server, answer, nullptr); });
      play(*client, ask, &counter);
      other.join();
    } else {
      std::thread other([&] { play(*client, ask, nullptr); });
      play(*server, answer, &counter);
      other.join();
    }
  });
}

// Nothing, if one of several runs made no system call but those in `allowed`. A side polls for 5 ms
// at most. On a busy machine its partner may be off the CPU for longer, so that the side sleeps,
// and then the run was none in which both sides poll.
std::map<long, int> calls_while_both_poll(Backend backend, Traced traced, Wrap wrap,
                                          const std::vector<long>& allowed) {
  constexpr int kRuns = 20;
  std::map<long, int> calls;
  for (int run = 0; run == 0 || (!calls.empty() && run < kRuns); ++run) {
    calls = count_calls(backend, traced, wrap);
    for (const long call : allowed) {
      calls.erase(call);
    }
  }
  return calls;
}

bool can_count() {
  if (kSanitized || !tracing_works()) {
    report_skipped("system calls cannot be counted in this build, or here");
    return false;
  }
  return true;
}

TEST_CASE("a call makes no system call on any back end while both sides poll") {
  if (!can_count()) {
    return;
  }
  for (const Backend backend : available_back_ends()) {
    for (const Traced traced : {Traced::kClient, Traced::kServer}) {
      // A clock in user space is not on every machine.
      CHECK(calls_while_both_poll(backend, traced, alone, {SYS_clock_gettime}).empty());
    }
    CHECK(!count_calls(backend, Traced::kClient, alone, coaio::PollOff{}).empty());
  }
}

TEST_CASE(
    "a socket that is watched besides costs nothing on io_uring, and a look now and then "
    "elsewhere") {
  if (!can_count()) {
    return;
  }
  for (const Backend backend : available_back_ends()) {
    for (const Traced traced : {Traced::kClient, Traced::kServer}) {
      std::vector<long> allowed = {SYS_clock_gettime};
      if (backend != Backend::kIoUring) {
        allowed.insert(allowed.end(), {SYS_ppoll, SYS_epoll_wait, SYS_epoll_pwait2});
      }
      CHECK(calls_while_both_poll(backend, traced, converse, allowed).empty());
    }
  }
}

}  // namespace
}  // namespace shm_rpc
