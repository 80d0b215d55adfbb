// task_group: a TaskGroup that is joined on every way out.
//
//   absl::Status status = co_await task_group([&](TaskGroup& group) -> Task<absl::Status> {
//     group.spawn(serve(listener));
//     group.spawn([&] { return report(stats); });
//     co_return co_await shutdown_requested();       // its failure cancels the others
//   });
//
// The body is itself a child of the group. After the body has ended, by a co_return or by an
// exception, task_group() waits until the last child has ended. The first failure of the body or of
// a child cancels all others. task_group() returns the status of this failure, or throws its
// exception. group.cancel() cancels the body as well. A body that returns a Task<void> fails only
// by an exception.
//
// Children that must not end one another, such as the connections of a server, keep their failures
// to themselves: spawn a Task<void> that reports its status and returns.
//
// May complete without suspending? No.
// Observes cancellation? task_group() passes a cancellation on to the body and to the children, and
//   waits until they end. The result is kCancelled if one of them then ended with kCancelled.
// Resumes where? On the home of the task that awaits task_group().
// What must outlive what? Objects that the body captures by reference outlive the call. The group
//   keeps the body object until all children have ended. The local variables of the body's
//   coroutine are destroyed earlier, when the body ends: declare variables that children use in the
//   task that awaits task_group().
// Threads: the home thread of the task.

#ifndef COAIO_CORO_WITH_TASK_GROUP_H_
#define COAIO_CORO_WITH_TASK_GROUP_H_

#include <concepts>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"

namespace coaio {

namespace internal {

template <typename Body>
concept GroupBody =
    std::invocable<Body&, TaskGroup&> && ChildTask<std::invoke_result_t<Body&, TaskGroup&>>;

}  // namespace internal

template <internal::GroupBody Body>
Task<absl::Status> task_group(Body body) {
  const TaskEnv here = co_await this_task();
  TaskGroup group(here);
  group.spawn(body(group));
  co_return co_await group.join();
}

}  // namespace coaio

#endif  // COAIO_CORO_WITH_TASK_GROUP_H_
