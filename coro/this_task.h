// this_task: the context and the cancel token of the calling task.
//
//   const TaskEnv here = co_await this_task();
//   TaskGroup group(here);
//   if (here.token.cancel_requested()) ...     // this task, and not only one operation, is to end
//
// May complete without suspending? It always does.
// Observes cancellation? No; the token reports whether cancellation was requested.
// Resumes where? The task goes on at once, where it is.
// What must outlive what? The token is valid until the task ends or moves to another context. The
//   context outlives the task.

#ifndef COAIO_CORO_THIS_TASK_H_
#define COAIO_CORO_THIS_TASK_H_

#include "coro/awaitable.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"

namespace coaio {

// The context on which a task runs, and the token that cancels it.
struct TaskEnv {
  Context& context;
  CancelToken token;
  TimePoint deadline = TimePoint::max();  // max: there is none
};

class ThisTask : public Awaitable<ThisTask> {
 public:
  TaskEnv await_resume() const noexcept {
    const CancelToken token = promise_->token();
    return {promise_->context(), token, token.deadline()};
  }

 private:
  friend class Awaitable<ThisTask>;

  bool suspend(PromiseBase& task) noexcept {
    promise_ = &task;
    return false;
  }

  const PromiseBase* promise_ = nullptr;
};

[[nodiscard]] inline ThisTask this_task() { return {}; }

}  // namespace coaio

#endif  // COAIO_CORO_THIS_TASK_H_
