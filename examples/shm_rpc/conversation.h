// converse: works with a connection until the work is done or the other process ends.
//
//   absl::Status end = co_await converse(connection, work(connection));
//
// Threads: the home thread of the task.
// Errors: those of the work; UnavailableError if the other process ended first, however it ended.
//   If it has sent something before that, the work is not cancelled, but receives it, and then that
//   error; send() fails at once.

#ifndef COAIO_EXAMPLES_SHM_RPC_CONVERSATION_H_
#define COAIO_EXAMPLES_SHM_RPC_CONVERSATION_H_

#include "absl/status/status.h"
#include "coaio.h"
#include "examples/shm_rpc/connection.h"

namespace shm_rpc {

coaio::Task<absl::Status> converse(Connection& connection, coaio::Task<absl::Status> work);

}  // namespace shm_rpc

#endif  // COAIO_EXAMPLES_SHM_RPC_CONVERSATION_H_
