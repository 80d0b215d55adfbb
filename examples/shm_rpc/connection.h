// Connection: two rings and their doorbells between two processes, set up over a Unix socket.
//
//   absl::StatusOr<Connection> peer = Connection::offer(std::move(socket));   // one process
//   absl::StatusOr<Connection> peer = Connection::accept(std::move(socket));  // the other one
//
// The socket stays open, and says nothing any more: it hangs up when the other process ends,
// however it ends.
//
// Threads: one. The two calls block until the other side has done its part.
// Errors: what the other side offers is checked: memory that it could truncate later would end
//   this process with SIGBUS, and a doorbell must be an eventfd.
// What a hostile peer can still do: not answer, and ring for nothing. A peer that makes a doorbell
//   blocking and fills its counter in the instant between our poll(2) and our write(2) can make one
//   ring block.

#ifndef COAIO_EXAMPLES_SHM_RPC_CONNECTION_H_
#define COAIO_EXAMPLES_SHM_RPC_CONNECTION_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
#include "examples/shm_rpc/mailbox.h"
#include "examples/shm_rpc/ring.h"

namespace shm_rpc {

// A ring each way.
struct SharedMemory {
  RingMemory to_acceptor;
  RingMemory to_offerer;
};

// One doorbell for each side of each ring.
struct Doorbells {
  coaio::UniqueFd reader_at_acceptor, writer_at_offerer;  // of the ring to the acceptor
  coaio::UniqueFd reader_at_offerer, writer_at_acceptor;  // of the other one
};

class Connection {
 public:
  static absl::StatusOr<Connection> offer(coaio::UniqueFd socket);
  static absl::StatusOr<Connection> accept(coaio::UniqueFd socket);

  Inbox& inbox() { return *inbox_; }
  Outbox& outbox() { return *outbox_; }

  // Becomes readable when the other process has ended.
  int socket() const { return socket_.get(); }

  // The shared memory, for tests that damage it.
  SharedMemory& memory() { return *memory_; }

 private:
  struct Unmap {
    void operator()(SharedMemory* memory) const;
  };
  using Mapping = std::unique_ptr<SharedMemory, Unmap>;

  Connection(coaio::UniqueFd socket, Mapping memory, Doorbells bells)
      : socket_(std::move(socket)), memory_(std::move(memory)), bells_(std::move(bells)) {}

  static absl::StatusOr<Mapping> map(const coaio::UniqueFd& memory);

  coaio::UniqueFd socket_;
  Mapping memory_;
  Doorbells bells_;
  std::unique_ptr<Inbox> inbox_;
  std::unique_ptr<Outbox> outbox_;
};

}  // namespace shm_rpc

#endif  // COAIO_EXAMPLES_SHM_RPC_CONNECTION_H_
