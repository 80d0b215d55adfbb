// when_any: tasks that run at the same time until the first of them has ended.
//
//   auto first = co_await when_any(receive(a), receive(b));
//   if (first.index() == 0) use(std::move(first).get<0>());
//
// The first task that ends, well or not, wins: the others are cancelled, and awaited. index() is
// the winner, and get<I>() is what each task gave: kCancelled for most losers, but a loser that
// came to its end all the same has its result there, and what it has received is not lost. An
// exception of any task cancels the others too, and is thrown once all have ended.
//
// The tasks begin in their order, each call with another one of them, so that two that never have
// to wait win by turns.
//
// May complete without suspending? No.
// Observes cancellation? It passes it on to the tasks, and waits for their ends.
// Resumes where? On the home of the task that awaits it.
// Who must outlive whom? What the tasks refer to outlives the call.
// Allocates nothing after the first time.

#ifndef COAIO_CORO_WHEN_ANY_H_
#define COAIO_CORO_WHEN_ANY_H_

#include <cstddef>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/task_results.h"
#include "coro/this_task.h"

namespace coaio {

template <typename... T>
class AnyResults;

template <typename... T>
Task<AnyResults<T...>> when_any(Task<T>... tasks);

template <typename... T>
class AnyResults : public TaskResults<T...> {
 public:
  std::size_t index() const { return index_; }

 private:
  friend Task<AnyResults> when_any<T...>(Task<T>... tasks);

  std::size_t index_ = 0;
};

namespace internal {

// The tasks of one when_any().
struct Race {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  void ended(std::size_t index) {
    if (winner == kNone) {
      winner = index;
      group.cancel();
    }
  }

  TaskGroup& group;
  std::size_t winner = kNone;
};

template <typename T>
Task<void> keep_and_win(Task<T> task, KeptResult<T>& result, std::size_t index, Race& race) {
  co_await keep_result(std::move(task), result);
  race.ended(index);
}

// One after the other, for the calls of one thread.
std::size_t next_to_begin(std::size_t count);

// Not part of the coroutine, whose frame g++ would enlarge by what this needs.
template <typename... T>
void begin_race(std::tuple<KeptResult<T>...>& results, Race& race, Task<T>&... tasks) {
  const std::size_t first = next_to_begin(sizeof...(T));
  for (std::size_t n = 0; n < sizeof...(T); ++n) {
    const std::size_t chosen = (first + n) % sizeof...(T);
    auto begin_if_chosen = [&, i = std::size_t{0}]<typename U>(Task<U>& task,
                                                               KeptResult<U>& kept) mutable {
      if (i++ == chosen) {
        race.group.spawn(keep_and_win(std::move(task), kept, chosen, race));
      }
    };
    std::apply([&](KeptResult<T>&... kept) { (begin_if_chosen(tasks, kept), ...); }, results);
  }
}

}  // namespace internal

template <typename... T>
Task<AnyResults<T...>> when_any(Task<T>... tasks) {
  static_assert(sizeof...(T) > 0, "when_any() of no task would wait for ever");
  const TaskEnv here = co_await this_task();
  AnyResults<T...> results;
  TaskGroup group(here);
  internal::Race race{.group = group};
  internal::begin_race(results.kept_, race, tasks...);
  const absl::Status joined = co_await group.join();
  joined.IgnoreError();  // what cancelled the tasks is in their results
  results.index_ = race.winner;
  co_return results;
}

}  // namespace coaio

#endif  // COAIO_CORO_WHEN_ANY_H_
