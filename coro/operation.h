// Operation: what all cancellable awaitables have in common. For those who write awaitables.
//
// An operation is started for a task, and completes exactly once: because what it waits for
// happened, or because cancellation was requested, whichever the home thread comes upon first.
// Completion takes its node out of every list before the task resumes.

#ifndef COAIO_CORO_OPERATION_H_
#define COAIO_CORO_OPERATION_H_

#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"

namespace coaio {

class Operation : protected CancelNode {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 protected:
  explicit Operation(CancelNode::Cancel withdraw) : CancelNode(withdraw) {}
  ~Operation() = default;

  // False, and was_cancelled(), if the task has been cancelled already.
  bool start(PromiseBase& task) {
    task_ = &task;
    cancelled_ = task.cancel_requested();
    if (!cancelled_) {
      task.add(*this);
    }
    return !cancelled_;
  }

  // For await_suspend, whose result it gives: the operation has its result without waiting. The
  // task goes on at once, but now and then through the queue, so that one that never has to wait,
  // or does not mind that it was cancelled, leaves the others their turn.
  bool complete_at_once() {
    unlink();
    if (ContextAccess(context()).consume_budget()) {
      return false;
    }
    ContextAccess(context()).schedule(*task_);
    return true;
  }

  // What was waited for has happened: resumes the task here and now. Nothing of the operation may
  // be touched afterwards.
  void complete() {
    unlink();
    task_->resume();
  }

  // The same through the queue, for those who are inside somebody else's call.
  void complete_soon() {
    unlink();
    ContextAccess(task_->context()).schedule(*task_);
  }

  // For the withdraw function, once the loop has let go of the operation.
  void complete_cancelled() {
    cancelled_ = true;
    complete_soon();
  }

  bool was_cancelled() const { return cancelled_; }
  PromiseBase& task() const { return *task_; }
  Context& context() const { return task_->context(); }

 private:
  PromiseBase* task_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace coaio

#endif  // COAIO_CORO_OPERATION_H_
