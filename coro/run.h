// run: runs a task from ordinary code.
//
//   int main() {
//     absl::Status status = coaio::run(serve());             // a context with default options
//     absl::Status other = coaio::run(serve(), {.polling = coaio::PollLearned{}});
//     int answer = coaio::run(*context, compute());          // a context that exists already
//     int same = coaio::run(*context, compute(), source.token());
//   }
//
// run() runs the loop on the calling thread until the task has ended, and returns the task's
// result. Other tasks and bottom halves of the context run meanwhile. Those that have not ended
// when run() returns continue in the next run of the context.
//
// Threads: run() makes the calling thread the home thread of the context, if it is not the home
//   thread already. A call of run() inside a turn on the same thread is a checked error: a task
//   awaits the other task instead, and a callback spawns the other task into a TaskGroup.
// Lifetime: the context, and the source of the token, outlive the call.
// Cancellation: a request to the token's source cancels the task, and so does one call of
//   Context::stop(). run() still waits until the task has ended, and returns its result. A stop()
//   before the call cancels the task before its first step.
// Errors: run() throws the exception that leaves the task. Context::create() may fail, because
//   COAIO_BACKEND asks for a back end that is not available or because descriptors are exhausted.
//   - If the task's result is an absl::Status or absl::StatusOr, run(task) and run(task, options)
//     return the error.
//   - For any other result type, run(task) and run(task, options) write the error to standard error
//     and exit with code 1, because the context whose sink would get the error does not exist. A
//     program that wants to handle the error calls Context::create() itself.

#ifndef COAIO_CORO_RUN_H_
#define COAIO_CORO_RUN_H_

#include <coroutine>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/task.h"
#include "runtime/context.h"

namespace coaio {

namespace internal {

// The owner of the task of one run().
class RunOwner : public TaskOwner, private CancelNode {
 public:
  RunOwner(Context& context, CancelToken token);

  // Runs turns until the task has ended. Returns its promise, which is another one if or_return()
  // ended the task on another context.
  PromiseBase& run(PromiseBase& task);

 private:
  static void ended(TaskOwner& owner, PromiseBase& task) {
    static_cast<RunOwner&>(owner).ended_ = &task;
    static_cast<RunOwner&>(owner).done_ = true;
  }
  static void pass_on(CancelNode& node) {
    auto& self = static_cast<RunOwner&>(node);
    self.source_.request(self.upstream_->cause());
  }

  CancelSource source_;
  CancelSource* upstream_;  // of the token, or null
  PromiseBase* ended_ = nullptr;
  bool done_ = false;
};

// Whether the error of Context::create() can be the result of a Task<T>.
template <typename T>
inline constexpr bool kHoldsStatus = std::is_same_v<T, absl::Status>;
template <typename T>
inline constexpr bool kHoldsStatus<absl::StatusOr<T>> = true;

// Prints the error and exits with code 1.
[[noreturn]] void exit_without_context(const absl::Status& error);

}  // namespace internal

template <typename T>
T run(Context& context, Task<T> task, CancelToken token = {}) {
  internal::RunOwner owner(context, token);  // outlives the local variables in the frame
  struct Frame {
    ~Frame() { handle.destroy(); }
    std::coroutine_handle<internal::TaskPromise<T>> handle;
  } frame{std::move(task).release()};
  PromiseBase& ended = owner.run(frame.handle.promise());
  frame.handle = std::coroutine_handle<internal::TaskPromise<T>>::from_promise(
      static_cast<internal::TaskPromise<T>&>(ended));
  return frame.handle.promise().take_result();
}

template <typename T>
T run(Task<T> task, const ContextOptions& options = {}) {
  const absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options);
  if (context.ok()) {
    return run(**context, std::move(task));
  }
  if constexpr (internal::kHoldsStatus<T>) {
    return context.status();
  } else {
    internal::exit_without_context(context.status());
  }
}

}  // namespace coaio

#endif  // COAIO_CORO_RUN_H_
