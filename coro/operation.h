// AwaitableOperation: an awaitable that waits for an event, and that a cancellation ends early. For
// those who write awaitables.
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
// because cancellation was requested, whichever the home thread comes upon first. Completion takes
// the operation out of every list before the task resumes. After that it may be awaited again; two
// tasks that await one operation at the same time are a checked error.

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

// The part that is the same for all operations.
class Operation : protected CancelNode {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 protected:
  explicit Operation(CancelNode::Cancel withdraw) : CancelNode(withdraw) {}
  ~Operation() = default;

  // False, and was_cancelled(), if the task has been cancelled already.
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

  // For suspend(), whose result it gives: the operation has its result without waiting. The task
  // goes on at once, but now and then through the queue, so that a task that never has to wait, or
  // does not mind that it was cancelled, leaves the others their turn.
  bool complete_at_once() {
    PromiseBase& task = end();
    if (internal::ContextAccess(task.context()).consume_budget()) {
      return false;
    }
    internal::ContextAccess(task.context()).schedule(task);
    return true;
  }

  // The event has happened: resumes the task here and now. Nothing of the operation may be touched
  // afterwards.
  void complete() { end().resume(); }

  // The same through the queue, for a caller that another task's call has reached.
  void complete_soon() {
    PromiseBase& task = end();
    internal::ContextAccess(task.context()).schedule(task);
  }

  // For withdraw(), once the loop has let go of the operation.
  void complete_cancelled() {
    if (cause_ == CancelCause::kNone) {
      cause_ = CancelCause::kCancelled;
    }
    complete_soon();
  }

  // Also because of a deadline.
  bool was_cancelled() const { return cause_ != CancelCause::kNone; }

  // The status of an operation that was_cancelled().
  absl::Status cancel_status() const {
    return cause_ == CancelCause::kDeadline ? deadline_exceeded() : cancelled();
  }

  // The task is to end: withdraw() follows.
  void note_cause() { cause_ = task_->cancel_cause(); }

  // Between start() and completion.
  PromiseBase& task() const { return *task_; }
  Context& context() const { return task_->context(); }

 private:
  PromiseBase& end() {
    unlink();
    return *std::exchange(task_, nullptr);
  }

  PromiseBase* task_ = nullptr;  // while the operation is under way
  CancelCause cause_ = CancelCause::kNone;
};

template <typename Derived>
class AwaitableOperation : public Operation, public Awaitable<Derived> {
 protected:
  AwaitableOperation() : Operation(&AwaitableOperation::cancel) {}
  ~AwaitableOperation() = default;

 private:
  static void cancel(CancelNode& node) {
    auto& operation = static_cast<Operation&>(node);
    static_cast<AwaitableOperation&>(operation).note_cause();
    static_cast<Derived&>(operation).withdraw();
  }
};

}  // namespace coaio

#endif  // COAIO_CORO_OPERATION_H_
