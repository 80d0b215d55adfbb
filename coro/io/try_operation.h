// TryOperation: an operation on a descriptor that coaio owns: it tries its system call, waits if
// the call would block, and tries again. Private to coro/io.
//
// A derived class supplies the call (`attempt`) and keeps its result. The loop makes further
// attempts without resuming the task in between, so that a spurious event costs one system call.
// An attempt that has done enough for one turn returns kYield, and the next attempt comes through
// the run queue.
//
// An operation completes with kCancelled if the descriptor was closed, before the operation began
// or while it waited.
//
// Threads: the home thread of the descriptor's context.
// Lifetime: the descriptor's owner may be moved or destroyed while the operation waits.

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
    kWouldBlock,  // the call would block: the next attempt follows an event
    kYield,       // unfinished: the next attempt follows the other queued tasks
  };
  using Attempt = Outcome (*)(TryOperation&);

  TryOperation(const WatchedFd& fd, Events direction, Attempt attempt);
  ~TryOperation();

  // For attempts: the descriptor is open then.
  int fd() const { return record_->fd(); }
  FdRecord& record() const { return *record_; }

  // Whether the descriptor for which the operation was made is still open.
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
  void leave_lists();
  static void wake(FdWaiter& waiter, Events events);
  static void retry_after_yield(RunNode& node);

  Context* home_;
  FdRecord* record_;          // null: the descriptor was closed before
  std::uint32_t generation_;  // the record has another generation once the descriptor was closed
  Events direction_;
  Attempt attempt_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_TRY_OPERATION_H_
