// task_group: a TaskGroup that is joined on every way out.
//
//   absl::Status status = co_await task_group([&](TaskGroup& group) -> Task<absl::Status> {
//     group.spawn(serve(listener));
//     group.spawn([&] { return report(stats); });
//     co_return co_await shutdown_requested();       // its failure cancels the others
//   });
//
// The body is itself a child of the group. Where it ends by co_return or by an exception, early or
// not, the group goes on until the last child has ended. The first failure of the body or of a
// child cancels all others, and is the result; an exception is thrown at the task that awaits
// task_group(). group.cancel() cancels the body as well. A body that returns a Task<void> does not
// fail but by an exception.
//
// Children that must not end one another, such as the connections of a server, keep their failures
// to themselves: spawn a Task<void> that reports its status and returns.
//
// May complete without suspending? No.
// Observes cancellation? It passes it on to the body and the children, and waits for their ends;
//   kCancelled, if the cancellation cut one of them short.
// Resumes where? On the home of the task that awaits it.
// Who must outlive whom? What the body captures by reference outlives the call. The body object is
//   kept until the group is joined, but the locals of its coroutine end with the coroutine: a child
//   that may run longer does not refer to them. Let them be locals of the task around the call.
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
