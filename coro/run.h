// run: from ordinary code into coroutines.
//
//   int main() { return coaio::run(serve()).ok() ? 0 : 1; }
//
// Runs the loop on the calling thread until the task has ended, and returns its result. Other tasks
// and bottom halves of the context run meanwhile, and stay where they are when it returns.
//
// Threads: the calling thread becomes the home of the context, or is it already. Not from a task:
//   that one awaits.
// Lifetime: the context outlives the call.
// Errors: an exception that leaves the task is thrown. run(task) makes a context with default
//   options; where that is impossible (COAIO_BACKEND asks for a back end that is not available) it
//   writes the reason to standard error, by standard_error_sink(), and exits with code 1: at that
//   point of a program there is no context, and no sink of one, to tell. Programs that want to
//   handle it make their own context.

#ifndef COAIO_CORO_RUN_H_
#define COAIO_CORO_RUN_H_

#include <coroutine>
#include <memory>
#include <utility>

#include "coro/promise.h"
#include "coro/task.h"
#include "runtime/context.h"

namespace coaio {

class RunOwner : public TaskOwner {
 public:
  explicit RunOwner(Context& context) : TaskOwner(context, &RunOwner::ended) {}

  const bool& done() const { return done_; }

 private:
  static void ended(TaskOwner& owner, PromiseBase&) { static_cast<RunOwner&>(owner).done_ = true; }

  bool done_ = false;
};

// The context of run(task).
std::unique_ptr<Context> make_context_or_exit();

template <typename T>
T run(Context& context, Task<T> task) {
  struct Frame {
    ~Frame() { handle.destroy(); }
    std::coroutine_handle<TaskPromise<T>> handle;
  } const frame{std::move(task).release()};
  RunOwner owner(context);
  context.bind();
  frame.handle.promise().start(owner, CancelToken());
  context.run_until(owner.done());
  return frame.handle.promise().take_result();
}

template <typename T>
T run(Task<T> task) {
  const std::unique_ptr<Context> context = make_context_or_exit();
  return run(*context, std::move(task));
}

}  // namespace coaio

#endif  // COAIO_CORO_RUN_H_
