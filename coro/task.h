// Task<T>: a coroutine that computes a T.
//
//   Task<int> answer() { co_await sleep_for(1s); co_return 42; }
//   Task<void> ask()   { int n = co_await answer(); ... }
//
// A task is lazy: it begins when another task awaits it, when it is spawned into a TaskGroup, or
// when run() is called with it. A task is awaited once, as an rvalue. The task that awaits it
// becomes its parent, and gives it the home context and the cancel token. The parent gets the
// result, or the exception that left the task. The task's parameters are destroyed before the
// parent goes on.
//
// May complete without suspending? Yes, a limited number of times in a row (the coop budget of the
//   context). When this budget is used up, the parent continues through the run queue.
// Observes cancellation? The task itself does not; the operations that it awaits do.
// Resumes where? The parent resumes on the parent's home, even if the task ended on another
//   context.
// What must outlive what? Three kinds of objects outlive the task: arguments that the task takes by
//   reference, the object of a member coroutine, and the closure of a lambda coroutine.
//   `co_await f(x)` is safe; a task that is stored or spawned should take its arguments by value.

#ifndef COAIO_CORO_TASK_H_
#define COAIO_CORO_TASK_H_

#include <concepts>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "backends/check.h"
#include "coro/awaitable.h"
#include "coro/first_resume.h"
#include "coro/promise.h"
#include "coro/result.h"

namespace coaio {

template <typename T>
class Task;

namespace internal {

template <typename T>
class TaskPromise;

// The part of a promise that is the same for void and other results.
template <typename T>
class TaskPromiseBase : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;

  FirstResume::Awaiter initial_suspend() const noexcept { return {}; }

  auto final_suspend() const noexcept {
    struct Finish {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<TaskPromise<T>> task) const noexcept {
        return task.promise().finish();
      }
      void await_resume() const noexcept {}
    };
    return Finish{};
  }

  void unhandled_exception() { result_.set_exception(std::current_exception()); }

  T take_result() { return result_.take(); }
  std::exception_ptr exception() const { return result_.exception(); }

 protected:
  TaskPromiseBase();

  Result<T> result_;
};

template <typename T>
class TaskPromise final : public TaskPromiseBase<T> {
 public:
  template <std::convertible_to<T> U = T>
  void return_value(U&& value) {
    this->result_.set_value(std::forward<U>(value));
  }
};

template <>
class TaskPromise<void> final : public TaskPromiseBase<void> {
 public:
  void return_void() const noexcept {}
};

}  // namespace internal

template <typename T = void>
class [[nodiscard("a task does nothing until it is awaited, spawned or run")]] Task {
  static_assert(!std::is_reference_v<T>, "return a pointer or a std::reference_wrapper");

  class Awaiter;

 public:
  using promise_type = internal::TaskPromise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  // Destroys a task that has not begun, or has ended.
  ~Task() {
    if (handle_ != nullptr) {
      handle_.destroy();
    }
  }

  Awaiter operator co_await() & = delete;  // a task is awaited once: co_await std::move(task)
  auto operator co_await() && noexcept {
    internal::check(handle_ != nullptr, "a task is awaited that was moved from, or awaited before");
    return Awaiter(std::exchange(handle_, nullptr));
  }

  // For owners: hands over the coroutine, which the owner starts and destroys.
  std::coroutine_handle<promise_type> release() && {
    internal::check(handle_ != nullptr,
                    "a task is spawned or run that was moved from, or awaited before");
    return std::exchange(handle_, nullptr);
  }

 private:
  friend class internal::TaskPromiseBase<T>;

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> task) : task_(task) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() {
      if (task_ != nullptr) {
        task_.destroy();
      }
    }

    bool await_ready() const noexcept { return false; }

    template <TaskPromiseType Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
      return task_.promise().start(parent.promise(), &task_);
    }

    template <typename Foreign>
    void await_suspend(std::coroutine_handle<Foreign>) = delete;  // await it in a coaio::Task

    // Destroys the frame, and the parameters in it, here and not at the end of the parent's full
    // expression: the parent may have moved to another context by then.
    T await_resume() {
      struct Frame {
        ~Frame() { handle.destroy(); }
        std::coroutine_handle<promise_type> handle;
      } const frame{std::exchange(task_, nullptr)};
      return frame.handle.promise().take_result();
    }

   private:
    std::coroutine_handle<promise_type> task_;
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace internal {

template <typename T>
TaskPromiseBase<T>::TaskPromiseBase()
    : PromiseBase(std::coroutine_handle<TaskPromise<T>>::from_promise(
          static_cast<TaskPromise<T>&>(*this))) {}

template <typename T>
Task<T> TaskPromiseBase<T>::get_return_object() noexcept {
  return Task<T>(
      std::coroutine_handle<TaskPromise<T>>::from_promise(static_cast<TaskPromise<T>&>(*this)));
}

}  // namespace internal
}  // namespace coaio

#endif  // COAIO_CORO_TASK_H_
