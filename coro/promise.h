// PromiseBase: what every task knows of itself. For those who write awaitables.
//
// An awaitable suspends like this, and later resumes the task at its home, once:
//
//   template <typename Promise>
//   bool await_suspend(std::coroutine_handle<Promise> task) { return suspend(task.promise()); }
//   ...
//   promise.resume();                       // called by the loop
//   // From elsewhere, or inside a call of another task:
//   ContextAccess(promise.context()).schedule(promise);
//
// A promise is a RunNode: being queued needs nothing but the frame. Its home context, cancel token
// and parent come from whoever awaits or spawns it.

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

// Who started a task without awaiting it: a group, or run(). Told on its own context when the task
// has ended, after the coroutine has suspended for good; the owner destroys it.
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

  // Resumes the task. On its home thread, and not inside a call of another task.
  void resume() {
    internal::ContextAccess(*context_).refill_budget();
    self_.resume();
    internal::FirstResume::verify();
  }

  // The task resumes on `target`, and has its home there from now on.
  void move_to(Context& target);

  // --- for tasks --------------------------------------------------------------------------------

  // Makes it a child of the one that awaits it, and returns what to resume: the child, or nothing
  // if it goes through the queue. `holder` is where the parent has the typed handle of the child.
  std::coroutine_handle<> start(PromiseBase& parent, void* holder);

  // Queues it for an owner.
  void start(internal::TaskOwner& owner, CancelToken token);

  // The task has its result and is at its final suspension: returns what to resume.
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
  void* holder() const { return parent_ != nullptr ? holder_ : nullptr; }

  // Calls `last` for this node soon: at the task's home, when the coroutine has suspended.
  void end_soon(internal::RunNode::Run last);

  // Destroys the frame of this promise, and finishes as `carrier`, which never began.
  void end_as(PromiseBase& carrier);

 protected:
  explicit PromiseBase(std::coroutine_handle<> self)
      : internal::RunNode(&PromiseBase::run, internal::CallKind::kTask), self_(self) {}
  ~PromiseBase();

 private:
  void begin_in_queue();

  static void begin(internal::RunNode& node);
  static void run(internal::RunNode& node);
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
  union {
    internal::TaskOwner* owner_ = nullptr;  // what started the task, which has no parent
    void* holder_;                          // where the parent keeps the task
  };
  std::unique_ptr<internal::CancelRelay> relay_;  // once it has moved
};

}  // namespace coaio

#endif  // COAIO_CORO_PROMISE_H_
