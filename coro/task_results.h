// TaskResults: the results of several tasks, in the order of the tasks. What when_all() and
// when_any() give.
//
//   results.get<0>()                     // what a Task<int> gave: an int; void: std::monostate
//   std::move(results).get<1>()          // moves the result out
//
// It cannot be taken apart by a structured binding: g++ 15 and 16 compile `auto [a, b] = co_await`
// wrongly (docs/compilers.md).

#ifndef COAIO_CORO_TASK_RESULTS_H_
#define COAIO_CORO_TASK_RESULTS_H_

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "coro/task.h"

namespace coaio {

namespace internal {

template <typename T>
using KeptResult = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

// Awaits the task, and keeps its result.
template <typename T>
Task<void> keep_result(Task<T> task, KeptResult<T>& result) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    result.emplace();
  } else {
    T value = co_await std::move(task);
    result.emplace(std::move(value));
  }
}

}  // namespace internal

template <typename... T>
class TaskResults {
 public:
  template <std::size_t I>
  const auto& get() const& {
    return *std::get<I>(kept_);
  }
  template <std::size_t I>
  auto& get() & {
    return *std::get<I>(kept_);
  }
  template <std::size_t I>
  auto&& get() && {
    return *std::get<I>(std::move(kept_));
  }

 protected:
  TaskResults() = default;

  std::tuple<internal::KeptResult<T>...> kept_;  // all of them when the tasks have ended
};

}  // namespace coaio

#endif  // COAIO_CORO_TASK_RESULTS_H_
