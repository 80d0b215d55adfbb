// AwaitableOperation: an awaitable that waits for an event, and that a cancellation ends early. For
// authors of awaitables.
//
//   class Sleep : public AwaitableOperation<Sleep>, private TimerNode {
//    public:
//     absl::Status await_resume() const;      // asks was_cancelled()
//
//    private:
//     friend class AwaitableOperation<Sleep>;
//     bool suspend(PromiseBase& task);        // start(task), and then arms the timer
//     void withdraw();                        // disarms the timer, and then complete_cancelled()
//   };
//
// An operation is started for a task, and completes exactly once: because the event happened, or
// because cancellation was requested, whichever comes first. A completed operation is in no list of
// the loop or of a cancel source when await_resume() returns. After that, the task may await the
// operation again. If two tasks await one operation at the same time, that is a checked error.
//
// Threads: the home thread, except schedule_granted().
// Events of other threads (a lock, a queue): the other thread hands the event over under the mutex
//   of the primitive, and calls schedule_granted(). await_resume() calls end_granted(). withdraw()
//   takes the mutex; if the event was handed over before, withdraw() returns without
//   complete_cancelled(), because the task is about to resume with the event.

#ifndef COAIO_CORO_OPERATION_H_
#define COAIO_CORO_OPERATION_H_

#include <utility>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/awaitable.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"

namespace coaio {

// The part that does not depend on the derived class.
class Operation : protected CancelNode {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 protected:
  explicit Operation(CancelNode::Cancel withdraw) : CancelNode(withdraw) {}
  ~Operation() = default;

  // Returns false, and was_cancelled() is true, if the task has been cancelled already.
  bool start(PromiseBase& task) {
    internal::check(
        task_ == nullptr,
        "one awaitable object is awaited by two tasks at the same time: make one for each task");
    task_ = &task;
    cause_ = task.cancel_cause();
    if (cause_ != CancelCause::kNone) {
      return false;
    }
    task.add(*this);
    return true;
  }

  // The operation has its result without waiting; suspend() returns what this returns. The task
  // goes on at once as long as it has coop budget, and else through the run queue: a task that
  // never has to wait, or that ignores its cancellation, must not starve the others.
  bool complete_at_once() {
    PromiseBase& task = end();
    if (internal::ContextAccess(task.context()).consume_budget()) {
      return false;
    }
    internal::ContextAccess(task.context()).schedule(task);
    return true;
  }

  // The event has happened: resumes the task inside this call. The operation may have been
  // destroyed when this returns.
  void complete() { end().resume(); }

  // The same through the run queue, for a caller that runs inside a call of another task.
  void complete_soon() {
    PromiseBase& task = end();
    internal::ContextAccess(task.context()).schedule(task);
  }

  // For withdraw(), after it has taken the operation out of the loop's lists.
  void complete_cancelled() {
    note_cause();
    complete_soon();
  }

  // Any thread; once, after the caller has handed the event over and has taken the operation out of
  // the list of the primitive. Queues the task on its home. The operation may end before this call
  // returns. Between the hand-over and this call nothing else completes the operation.
  void schedule_granted() const {
    PromiseBase& task = *task_;
    internal::ContextAccess(task.context()).schedule(task);
  }

  // For await_resume(): completes an operation that schedule_granted() was called for. Does nothing
  // if the operation has completed in another way.
  void end_granted() {
    if (task_ != nullptr) {
      end();
    }
  }

  // Also because of a deadline.
  bool was_cancelled() const { return cause_ != CancelCause::kNone; }

  // The status of an operation that was_cancelled().
  absl::Status cancel_status() const {
    return cause_ == CancelCause::kDeadline ? deadline_exceeded() : cancelled();
  }

  // For an operation that a cancellation has withdrawn, and that completes later in another way.
  // Without a request to the task, the owner of what the task waited for has ended the operation.
  void note_cause() {
    cause_ = task_->cancel_cause();
    if (cause_ == CancelCause::kNone) {
      cause_ = CancelCause::kCancelled;
    }
  }

  // Between start() and completion.
  PromiseBase& task() const { return *task_; }
  Context& context() const { return task_->context(); }

 private:
  PromiseBase& end() {
    unlink();
    return *std::exchange(task_, nullptr);
  }

  PromiseBase* task_ = nullptr;  // not null between start() and completion
  CancelCause cause_ = CancelCause::kNone;
};

template <typename Derived>
class AwaitableOperation : public Operation, public Awaitable<Derived> {
 protected:
  AwaitableOperation() : Operation(&AwaitableOperation::cancel) {}
  ~AwaitableOperation() = default;

 private:
  static void cancel(CancelNode& node) {
    static_cast<Derived&>(static_cast<Operation&>(node)).withdraw();
  }
};

}  // namespace coaio

#endif  // COAIO_CORO_OPERATION_H_
