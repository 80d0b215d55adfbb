// yield, resume_on, this_task: where and when a task goes on.
//
//   co_await yield();                    // behind everything that is queued on this context
//   co_await resume_on(other);           // the rest of this task runs on the other's home thread
//   TaskEnv here = co_await this_task();
//
// May complete without suspending? this_task always does; the others never.
// Observes cancellation? No.
// Resumes where? yield on the task's home; resume_on on its new home. A task that ends away from
//   its parent's home brings the result there.
// Who must outlive whom? The target context outlives the task, and is run by somebody.

#ifndef COAIO_CORO_YIELD_H_
#define COAIO_CORO_YIELD_H_

#include <coroutine>

#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"

namespace coaio {

class Yield {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> task) const {
    PromiseBase& promise = task.promise();
    ContextAccess(promise.context()).schedule(promise);
  }
  void await_resume() const noexcept {}
};

class ResumeOn {
 public:
  explicit ResumeOn(Context& target) : target_(target) {}

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> task) const {
    task.promise().move_to(target_);
  }
  void await_resume() const noexcept {}

 private:
  Context& target_;
};

// What a task may know of itself. The token is good until the task ends or moves.
struct TaskEnv {
  Context& context;
  CancelToken token;
};

class ThisTask {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) noexcept {
    promise_ = &task.promise();
    return false;
  }
  TaskEnv await_resume() const noexcept { return {promise_->context(), promise_->token()}; }

 private:
  const PromiseBase* promise_ = nullptr;
};

[[nodiscard]] inline Yield yield() { return {}; }
[[nodiscard]] inline ResumeOn resume_on(Context& target) { return ResumeOn(target); }
[[nodiscard]] inline ThisTask this_task() { return {}; }

}  // namespace coaio

#endif  // COAIO_CORO_YIELD_H_
