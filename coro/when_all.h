// when_all: tasks that run at the same time, and the results of all.
//
//   const auto both = co_await when_all(fetch(a), fetch(b));      // Task<absl::StatusOr<Page>>
//   if (!both.status().ok()) co_return both.status();
//   show(*both.get<0>(), *both.get<1>());
//
// A task that fails, by a Status or StatusOr that is not OK or by an exception, cancels the others;
// when_all() waits for all of them. status() is the first failure, and get<I>() is what each task
// gave, so that nothing is lost that a task has done. An exception is thrown once all have ended.
//
// May complete without suspending? No.
// Observes cancellation? It passes it on to the tasks, and waits for their ends. If the
// cancellation
//   cut one of them short, status() is kCancelled.
// Resumes where? On the home of the task that awaits it.
// Who must outlive whom? What the tasks refer to outlives the call.
// Allocates nothing after the first time.

#ifndef COAIO_CORO_WHEN_ALL_H_
#define COAIO_CORO_WHEN_ALL_H_

#include <cstddef>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/task_results.h"
#include "coro/this_task.h"

namespace coaio {

template <typename... T>
class AllResults;

template <typename... T>
Task<AllResults<T...>> when_all(Task<T>... tasks);

template <typename... T>
class AllResults : public TaskResults<T...> {
 public:
  const absl::Status& status() const { return status_; }

 private:
  friend Task<AllResults> when_all<T...>(Task<T>... tasks);

  absl::Status status_;
};

namespace internal {

inline absl::Status failure_in(const absl::Status& status) { return status; }
template <typename T>
absl::Status failure_in(const absl::StatusOr<T>& result) {
  return result.status();
}
template <typename T>
absl::Status failure_in(const T&) {
  return absl::OkStatus();
}

template <typename T>
Task<absl::Status> keep_and_report(Task<T> task, KeptResult<T>& result) {
  co_await keep_result(std::move(task), result);
  co_return failure_in(*result);
}

}  // namespace internal

template <typename... T>
Task<AllResults<T...>> when_all(Task<T>... tasks) {
  const TaskEnv here = co_await this_task();
  AllResults<T...> results;
  TaskGroup group(here);
  std::apply(
      [&](internal::KeptResult<T>&... kept) {
        (group.spawn(internal::keep_and_report(std::move(tasks), kept)), ...);
      },
      results.kept_);
  results.status_ = co_await group.join();
  co_return results;
}

}  // namespace coaio

#endif  // COAIO_CORO_WHEN_ALL_H_
