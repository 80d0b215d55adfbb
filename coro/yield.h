// yield: lets the queued bottom halves and tasks of this context run, and then goes on.
//
//   co_await yield();
//
// May complete without suspending? Never.
// Observes cancellation? No.
// Resumes where? On the task's home, behind everything that was queued there before.
// What must outlive what? There is no such requirement.

#ifndef COAIO_CORO_YIELD_H_
#define COAIO_CORO_YIELD_H_

#include "coro/awaitable.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"

namespace coaio {

class Yield : public Awaitable<Yield> {
 public:
  void await_resume() const noexcept {}

 private:
  friend class Awaitable<Yield>;

  void suspend(PromiseBase& task) { internal::ContextAccess(task.context()).schedule(task); }
};

[[nodiscard]] inline Yield yield() { return Yield(); }

}  // namespace coaio

#endif  // COAIO_CORO_YIELD_H_
