// resume_on: moves the task to another context.
//
//   co_await resume_on(other);   // the rest of this task runs on the home thread of `other`
//
// `other` becomes the task's home. A task that ends away from its parent's home returns there with
// its result. An object of one context (a socket, a task group) does not move: the task uses it and
// destroys it on that context. A request for cancellation follows the task. The first move of a
// task that can be cancelled allocates; later moves allocate nothing.
//
// May complete without suspending? Never.
// Observes cancellation? No.
// Resumes where? On the target context, which is the task's home from then on.
// Who must outlive whom? The target context outlives the task, and a thread runs that context.

#ifndef COAIO_CORO_RESUME_ON_H_
#define COAIO_CORO_RESUME_ON_H_

#include "coro/awaitable.h"
#include "coro/promise.h"
#include "runtime/context.h"

namespace coaio {

class ResumeOn : public Awaitable<ResumeOn> {
 public:
  explicit ResumeOn(Context& target) : target_(target) {}

  void await_resume() const noexcept {}

 private:
  friend class Awaitable<ResumeOn>;

  void suspend(PromiseBase& task) { task.move_to(target_); }

  Context& target_;
};

[[nodiscard]] inline ResumeOn resume_on(Context& target) { return ResumeOn(target); }

}  // namespace coaio

#endif  // COAIO_CORO_RESUME_ON_H_
