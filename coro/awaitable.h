// Awaitable: the base of each class that a coaio task can await. For authors of awaitables.
//
//   class Yield : public Awaitable<Yield> {
//    public:
//     void await_resume() const noexcept {}
//
//    private:
//     friend class Awaitable<Yield>;
//     void suspend(PromiseBase& task) { internal::ContextAccess(task.context()).schedule(task); }
//   };
//
// suspend() is called with the task that awaits the object. Its result is the result of
// await_suspend: nothing, a bool (false: the task goes on at once) or a coroutine handle.
//
// Only coroutines that return a coaio::Task can await the object. In any other coroutine the
// compiler reports one error, and a concept that tests for awaitability is not satisfied.
//
// For an event that a cancellation ends early, use AwaitableOperation (coro/operation.h).

#ifndef COAIO_CORO_AWAITABLE_H_
#define COAIO_CORO_AWAITABLE_H_

#include <concepts>
#include <coroutine>

#include "coro/promise.h"
#include "runtime/context_access.h"

namespace coaio {

// The promise types of coaio's tasks.
template <typename Promise>
concept TaskPromiseType = std::derived_from<Promise, PromiseBase>;

template <typename Derived>
class Awaitable {
 public:
  bool await_ready() const noexcept { return false; }

  template <TaskPromiseType Promise>
  auto await_suspend(std::coroutine_handle<Promise> task) {
    auto& self = static_cast<Derived&>(*this);
    if constexpr (std::convertible_to<decltype(self.suspend(task.promise())),
                                      std::coroutine_handle<>>) {
      // The coroutine that goes on may be no task.
      internal::ContextAccess(task.promise().context()).set_resumed(nullptr);
    }
    return self.suspend(task.promise());
  }

  // Compilers print the next line, with its comment.
  template <typename Foreign>
  void await_suspend(std::coroutine_handle<Foreign>) = delete;  // await it in a coaio::Task

 protected:
  Awaitable() = default;
  ~Awaitable() = default;
};

}  // namespace coaio

#endif  // COAIO_CORO_AWAITABLE_H_
