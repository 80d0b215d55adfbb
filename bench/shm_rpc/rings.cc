#include <sys/socket.h>

#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/unique_fd.h"
#include "bench/shm_rpc/round_trips.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/this_task.h"
#include "examples/shm_rpc/connection.h"
#include "examples/shm_rpc/conversation.h"
#include "runtime/context.h"
#include "runtime/scoped_poll_source.h"

namespace coaio::bench {

using namespace internal;
namespace {

using shm_rpc::Connection;

constexpr std::string_view kMessage = "a message of 32 bytes, as it is.";

Task<absl::Status> ask(Connection& server, Stopwatch& watch) {
  for (int i = 0; i < kRounds; ++i) {
    if (absl::Status status = co_await server.outbox().send(kMessage); !status.ok()) {
      co_return status;
    }
    if (const auto answer = co_await server.inbox().receive(); !answer.ok()) {
      co_return answer.status();
    }
    watch.round();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> answer(Connection& client) {
  for (int i = 0; i < kRounds; ++i) {
    const absl::StatusOr<std::string_view> request = co_await client.inbox().receive();
    if (!request.ok()) {
      co_return request.status();
    }
    if (absl::Status status = co_await client.outbox().send(*request); !status.ok()) {
      co_return status;
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> alone(Connection& connection, Task<absl::Status> work) {
  const TaskEnv here = co_await this_task();
  const ScopedPollSource inbox(here.context, connection.inbox());
  const ScopedPollSource outbox(here.context, connection.outbox());
  co_return co_await std::move(work);
}

void play(Context& context, Connection& connection, Task<absl::Status> part, bool watched) {
  const absl::Status status = run(context, watched ? shm_rpc::converse(connection, std::move(part))
                                                   : alone(connection, std::move(part)));
  check(status.ok(), "a conversation fails");
}

}  // namespace

double ring_round_trip(Backend backend, bool watched) {
  std::array<int, 2> fds;
  check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) == 0,
        "no pair of sockets: is the limit of descriptors reached?");
  absl::StatusOr<Connection> server = Connection::offer(UniqueFd(fds[0]));
  absl::StatusOr<Connection> client = Connection::accept(UniqueFd(fds[1]));
  check(server.ok() && client.ok(), "no connection: is there memory to share?");
  const std::unique_ptr<Context> asker = *Context::create(never_sleeping(backend));
  const std::unique_ptr<Context> answerer = *Context::create(never_sleeping(backend));
  return time_round_trips(
      [&](Stopwatch& watch) { play(*asker, *client, ask(*client, watch), watched); },
      [&] { play(*answerer, *server, answer(*server), watched); });
}

}  // namespace coaio::bench
