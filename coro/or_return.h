// or_return: the value of a result, or the end of the task.
//
//   Task<absl::Status> serve(TcpStream stream) {
//     std::array<char, 4096> buffer;
//     const std::size_t count = co_await or_return(stream.read_some(buffer));
//     co_await or_return(stream.write_all({buffer.data(), count}));
//     const Config config = co_await or_return(load_config());   // a Task<absl::StatusOr<Config>>
//     co_return co_await use(config);
//   }
//
// Takes an absl::Status, an absl::StatusOr<T> or an IoResult, or an awaitable or a Task of one of
// these. A result that is OK gives its value: nothing, the T, or the count of bytes. A failure ends
// the task that awaits, as `co_return failure` would, and no exception is thrown. The task is a
// Task<absl::Status> or a Task<absl::StatusOr<U>>; the compiler refuses other tasks.
//
// Write the await as a statement of its own, or as the initialiser of a variable: g++ 12 compiles
// an await in a condition wrongly (docs/compilers.md).
//
// May complete without suspending? Yes: when the result is OK and available already.
// Observes cancellation? Only through the awaitable: its kCancelled ends the task.
// Resumes where? Where the awaitable resumes.
// What must outlive what? The awaitable outlives the await, because or_return() keeps a reference
//   to the awaitable. So write co_await or_return(...) in one expression.
// Lifetime: when a failure ends the task, the local variables of the task are destroyed on the
//   task's home, before the parent or the group continues. A TaskGroup among these variables must
//   be joined before the failing await; its destructor checks this.

#ifndef COAIO_CORO_OR_RETURN_H_
#define COAIO_CORO_OR_RETURN_H_

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/awaitable.h"
#include "coro/awaiter_of.h"
#include "coro/detour.h"
#include "coro/promise.h"
#include "coro/status_result.h"
#include "coro/task.h"
#include "runtime/run_queue.h"

namespace coaio {

namespace internal {

// The frame of a task that had to be destroyed at another home than the one where its result is
// expected. It never begins, and carries the result.
template <typename U>
Task<U> carry_result() {
  co_return absl::UnknownError("");
}

template <typename U>
void end_in_other_frame(RunNode& node) {
  auto& promise = static_cast<TaskPromise<U>&>(static_cast<PromiseBase&>(node));
  const std::coroutine_handle<TaskPromise<U>> carrier = carry_result<U>().release();
  carrier.promise().return_value(promise.take_result());
  if (void* holder = promise.holder()) {
    *static_cast<std::coroutine_handle<TaskPromise<U>>*>(holder) = carrier;
  }
  promise.end_as(carrier.promise());
}

// Ends a suspended task with the failure, and returns what to resume. The local variables are in
// the frame, which is destroyed where the result is taken. The home of a task that has moved may
// be another one, and that task's frame is destroyed before.
template <typename U>
std::coroutine_handle<> end_early(TaskPromise<U>& promise, absl::Status failure) {
  promise.return_value(std::move(failure));
  if (!promise.has_moved()) {
    return promise.finish();
  }
  promise.end_soon(&end_in_other_frame<U>);
  return std::noop_coroutine();
}

template <typename Promise>
struct EndsWithStatus : std::false_type {};
template <StatusResult U>
struct EndsWithStatus<TaskPromise<U>> : std::bool_constant<!HasCount<U>> {};

// The promise of a task that or_return() can end.
template <typename Promise>
concept EndsEarly = EndsWithStatus<Promise>::value;

// Awaits a result that is available already.
template <StatusResult R>
class [[nodiscard("or_return() does nothing until it is awaited")]] OrReturnResult {
 public:
  explicit OrReturnResult(R result) : result_(std::move(result)) {}

  bool await_ready() const noexcept { return result_.ok(); }

  template <EndsEarly Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> task) {
    return end_early(task.promise(), take_status(std::move(result_)));
  }
  template <typename Other>
  void await_suspend(Other) = delete;  // or_return() needs a Task of a Status or a StatusOr

  ValueOf<R> await_resume() { return take_value(std::move(result_)); }

 private:
  R result_;
};

// Awaits a result. A resumed task cannot be ended early, so the awaitable resumes a Detour in place
// of the task, and the Detour first looks at the result.
template <typename Inner>  // a class that has await_ready(), or a reference to one
class OrReturnAwaiter {
  using R = std::remove_cvref_t<decltype(std::declval<Inner&>().await_resume())>;
  static_assert(StatusResult<R>,
                "or_return() takes an absl::Status, absl::StatusOr<T> or IoResult, or an awaitable "
                "or Task of one of these");

 public:
  template <typename Get>
  explicit OrReturnAwaiter(Get get) : inner_(get()) {}
  OrReturnAwaiter(const OrReturnAwaiter&) = delete;
  OrReturnAwaiter& operator=(const OrReturnAwaiter&) = delete;

  bool await_ready() {
    if (!inner_.await_ready()) {
      return false;
    }
    result_.emplace(inner_.await_resume());
    return result_->ok();
  }

  template <EndsEarly Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> task) {
    if (result_.has_value()) {
      return end_early(task.promise(), take_status(*std::move(result_)));
    }
    detour_.begin(task.promise(), &OrReturnAwaiter::arrive<Promise>, this);
    using Suspended = decltype(inner_.await_suspend(task));
    if constexpr (std::is_void_v<Suspended>) {
      inner_.await_suspend(task);
      return std::noop_coroutine();
    } else if constexpr (std::same_as<Suspended, bool>) {
      return inner_.await_suspend(task) ? std::noop_coroutine() : arrive<Promise>(this);
    } else {
      const std::coroutine_handle<> next = inner_.await_suspend(task);
      return next == task ? arrive<Promise>(this) : next;
    }
  }
  template <typename Other>
  void await_suspend(Other) = delete;  // or_return() needs a Task of a Status or a StatusOr

  ValueOf<R> await_resume() {
    if (exception_ != nullptr) {
      std::rethrow_exception(std::exchange(exception_, nullptr));
    }
    return take_value(*std::move(result_));
  }

 private:
  // The awaitable has completed. Returns what to resume.
  template <typename Promise>
  static std::coroutine_handle<> arrive(void* object) {
    auto& self = *static_cast<OrReturnAwaiter*>(object);
    auto& promise = static_cast<Promise&>(self.detour_.end());
    self.take_result();
    if (self.result_.has_value() && !self.result_->ok()) {
      return end_early(promise, take_status(*std::move(self.result_)));
    }
    return promise.self();
  }

  void take_result() noexcept {
#if defined(__cpp_exceptions)
    try {
      result_.emplace(inner_.await_resume());
    } catch (...) {
      exception_ = std::current_exception();
    }
#else
    result_.emplace(inner_.await_resume());
#endif
  }

  Inner inner_;
  std::optional<R> result_;
  std::exception_ptr exception_;
  Detour detour_;
};

template <typename Awaited>
class [[nodiscard("or_return() does nothing until it is awaited")]] OrReturn {
 public:
  explicit OrReturn(Awaited&& awaited) : awaited_(std::forward<Awaited>(awaited)) {}

  void operator co_await() & = delete;  // write co_await or_return(...) in one expression
  auto operator co_await() && {
    return OrReturnAwaiter<AwaiterOf<Awaited>>(
        [this]() -> AwaiterOf<Awaited> { return awaiter_of(std::forward<Awaited>(awaited_)); });
  }

 private:
  Awaited&& awaited_;
};

}  // namespace internal

template <typename X>
auto or_return(X&& x) {
  using R = std::remove_cvref_t<X>;
  if constexpr (internal::StatusResult<R>) {
    return internal::OrReturnResult<R>(std::forward<X>(x));
  } else {
    return internal::OrReturn<X>(std::forward<X>(x));
  }
}

}  // namespace coaio

#endif  // COAIO_CORO_OR_RETURN_H_
