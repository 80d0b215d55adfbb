// PromiseBase: the part of a task that its awaitables use. For authors of awaitables.
//
// An awaitable (coro/awaitable.h) gets the promise in suspend(), and later resumes the task, once:
//
//   void suspend(PromiseBase& task) { task_ = &task; ... }
//
//   task_->resume();                                                 // from a callback of the loop
//   internal::ContextAccess(task_->context()).schedule(*task_);      // from anywhere else
//
// A promise is a RunNode, so that queueing a task allocates nothing. A task has its home context
// and its cancel token from the task that awaits it, or from the group or the run() that starts it.
//
// Threads: the home thread of the task.

#ifndef COAIO_CORO_PROMISE_H_
#define COAIO_CORO_PROMISE_H_

#include <coroutine>
#include <memory>
#include <utility>

#include "coro/cancel.h"
#include "coro/cancel_relay.h"
#include "coro/first_resume.h"
#include "coro/frame_memory.h"
#include "runtime/call_kind.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/run_queue.h"

namespace coaio {

class PromiseBase;

namespace internal {

// A group, or run(): starts a task without awaiting it, and destroys it. `done` is called on the
// owner's context, after the coroutine has reached its final suspension.
class TaskOwner {
 public:
  using Done = void (*)(TaskOwner&, PromiseBase&);

  TaskOwner(Context& context, Done done) : context_(context), done_(done) {}

 private:
  friend class coaio::PromiseBase;

  Context& context_;
  Done done_;
};

}  // namespace internal

class PromiseBase : public internal::RunNode, public internal::FrameMemory {
 public:
  // --- for awaitables ---------------------------------------------------------------------------

  Context& context() const { return *context_; }
  CancelToken token() const { return cancel_ == nullptr ? CancelToken() : CancelToken(*cancel_); }
  bool cancel_requested() const { return cancel_ != nullptr && cancel_->cancel_requested(); }
  CancelCause cancel_cause() const {
    return cancel_ == nullptr ? CancelCause::kNone : cancel_->cause();
  }

  // What the task awaits next belongs to this source, which may be null. Returns the former one.
  CancelSource* exchange_source(CancelSource* source) { return std::exchange(cancel_, source); }

  // Lists the operation that the task waits for, so that a request for cancellation reaches it.
  void add(CancelNode& operation) {
    if (cancel_ != nullptr) {
      cancel_->add(operation);
    }
  }

  // Resumes the task, which is suspended, inside this call. On its home thread, and not inside a
  // call of another task.
  void resume();

  // Makes `target` the task's home, and resumes the task there.
  void move_to(Context& target);

  // --- for tasks --------------------------------------------------------------------------------

  // Starts this task as a child of the task that awaits it. Returns the coroutine to resume: this
  // one, or a no-op if the child begins through the run queue. `holder` is the place of the typed
  // handle of the child in its parent.
  std::coroutine_handle<> start(PromiseBase& parent, void* holder);

  // Starts this task for an owner, through the run queue.
  void start(internal::TaskOwner& owner, CancelToken token);

  // The task has its result and is at its final suspension. Returns the coroutine to resume.
  std::coroutine_handle<> finish() noexcept;

  std::coroutine_handle<> self() const { return self_; }
  const PromiseBase* parent() const { return parent_; }

  // --- for or_return() --------------------------------------------------------------------------

  // Sets what is resumed in the place of the task, and returns what was resumed until now.
  std::coroutine_handle<> divert(std::coroutine_handle<> to) { return std::exchange(self_, to); }

  // The frame, with what is registered at the task's home, cannot wait for its destruction until
  // the result is taken.
  bool has_moved() const { return relay_ != nullptr || context_ != &destination(); }

  // Null if the task was started for an owner.
  void* holder() const { return parent_ != nullptr ? starter_ : nullptr; }

  // Calls `last` for this node soon: at the task's home, when the coroutine has suspended.
  void end_soon(internal::RunNode::Run last);

  // Destroys the frame of this promise, and finishes as `carrier`, which never began.
  void end_as(PromiseBase& carrier);

 protected:
  explicit PromiseBase(std::coroutine_handle<> self)
      : internal::RunNode(&PromiseBase::run, internal::CallKind::kTask), self_(self) {}
  ~PromiseBase();

 private:
  void resume_in_queue();
  void begin_in_queue();

  static void begin(internal::RunNode& node);
  static void run(internal::RunNode& node);
  // Without a parent only.
  internal::TaskOwner& owner() const { return *static_cast<internal::TaskOwner*>(starter_); }

  Context& destination() const;
  static void depart(internal::RunNode& node);
  static void return_home(internal::RunNode& node);
  static void depart_to_end(internal::RunNode& node);
  static void return_to_end(internal::RunNode& node);
  static void end(internal::RunNode& node);

  std::coroutine_handle<> self_;
  Context* context_ = nullptr;
  CancelSource* cancel_ = nullptr;
  PromiseBase* parent_ = nullptr;  // what awaits the task, or null
  void* starter_ = nullptr;        // with a parent: where it keeps the task; else the TaskOwner
  std::unique_ptr<internal::CancelRelay> relay_;  // null: the task has not moved
};

}  // namespace coaio

#endif  // COAIO_CORO_PROMISE_H_
