// TryOperation: an operation on a descriptor that coaio owns: try the system call, wait if it would
// block, try again. Private to coro/io.
//
// A derived class supplies the call (attempt) and keeps the result. The call is retried by the loop
// without resuming the task in between, so that a false alarm costs one system call. A call that
// could go on for long stops short, and goes on through the queue of the loop.
//
// An operation on a descriptor that was closed, before the operation began or while it waited,
// completes with kCancelled.

#ifndef COAIO_CORO_IO_TRY_OPERATION_H_
#define COAIO_CORO_IO_TRY_OPERATION_H_

#include <cstdint>

#include "backends/events.h"
#include "coro/awaitable.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/fd_table.h"
#include "runtime/run_queue.h"
#include "runtime/watched_fd.h"

namespace coaio::internal {

class TryOperation : public AwaitableOperation<TryOperation>, private FdWaiter, private RunNode {
 protected:
  enum class Outcome {
    kDone,        // the operation has its result
    kWouldBlock,  // the direction is exhausted
    kLeaveOff,    // neither, and it is others' turn
  };
  using Attempt = Outcome (*)(TryOperation&);

  TryOperation(const WatchedFd& fd, Events direction, Attempt attempt);
  ~TryOperation();

  // For attempts, which are made on an open descriptor only.
  int fd() const { return record_->fd(); }
  FdRecord& record() const { return *record_; }

  // The descriptor is still the one that the operation was made for, and open.
  bool is_current() const noexcept {
    return record_ != nullptr && record_->generation() == generation_;
  }

 private:
  friend class AwaitableOperation<TryOperation>;
  friend class Awaitable<TryOperation>;

  bool suspend(PromiseBase& task);
  void withdraw();
  bool try_or_wait();
  void retry();
  void let_go();
  static void wake(FdWaiter& waiter, Events events);
  static void go_on(RunNode& node);

  Context* home_;
  FdRecord* record_;          // null: the descriptor was closed already
  std::uint32_t generation_;  // of the record: another one means another socket
  Events direction_;
  Attempt attempt_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_TRY_OPERATION_H_
