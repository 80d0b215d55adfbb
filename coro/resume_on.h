// resume_on: moves the task to another context.
//
//   co_await resume_on(other);   // the rest of this task runs on the home thread of `other`
//
// `other` becomes the task's home. When the task has ended, its parent continues on the parent's
// own home. A socket or a task group stays with the context that it was made for: move the task
// back to that context before the task uses or destroys the object. A request for cancellation
// follows the task. The first move of a task that can be cancelled allocates; later moves allocate
// nothing.
//
// May complete without suspending? Never.
// Observes cancellation? No.
// Resumes where? On the target context, which is the task's home from then on.
// What must outlive what? The target context outlives the task, and a thread runs that context.

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
