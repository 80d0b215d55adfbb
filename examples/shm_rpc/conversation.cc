#include "examples/shm_rpc/conversation.h"

#include <utility>

#include "absl/status/status.h"
#include "coaio.h"
#include "examples/shm_rpc/connection.h"

namespace shm_rpc {
namespace {

// Neither side writes to the socket, so it becomes readable only when the other process ends. The
// error cancels the work, unless a message is left that the work has not received.
coaio::Task<absl::Status> watch(Connection& connection) {
  if (absl::Status status = co_await coaio::readable(connection.socket()); !status.ok()) {
    co_return status;
  }
  connection.inbox().hang_up();
  connection.outbox().hang_up();
  co_return connection.inbox().empty() ? absl::UnavailableError("the other process has ended")
                                       : absl::OkStatus();
}

coaio::Task<absl::Status> then_cancel(coaio::Task<absl::Status> work, coaio::TaskGroup& group) {
  absl::Status status = co_await std::move(work);
  group.cancel();
  co_return status;
}

}  // namespace

coaio::Task<absl::Status> converse(Connection& connection, coaio::Task<absl::Status> work) {
  const coaio::TaskEnv here = co_await coaio::this_task();
  const coaio::ScopedPollSource inbox(here.context, connection.inbox());
  const coaio::ScopedPollSource outbox(here.context, connection.outbox());
  coaio::TaskGroup group(here);
  group.spawn(then_cancel(std::move(work), group));
  group.spawn(watch(connection));
  co_return co_await group.join();
}

}  // namespace shm_rpc
