// with_timeout, with_deadline: what is awaited ends with kDeadlineExceeded when its time is over.
// shielded: what is awaited is neither cancelled nor ended by a deadline of the task.
//
//   Task<absl::StatusOr<Reply>> request(SocketAddress server, Query query) {
//     TcpStream stream = co_await or_return(TcpStream::connect(server));
//     co_await or_return(stream.write_all(query.bytes()));
//     co_return co_await read_reply(stream);
//   }
//   absl::StatusOr<Reply> reply = co_await with_timeout(2s, request(server, query));
//
// Each function takes an awaitable or a Task, and gives the result of that awaitable or Task. If
// the result arrives in the same turn in which the deadline passes, the caller gets the result and
// not kDeadlineExceeded. A Task is not destroyed at the deadline: its operations end with
// kDeadlineExceeded, and the await continues until the Task has ended. Deadlines nest: inside the
// Task the sooner of the inner and the outer deadline counts.
//
// Write the await as a statement of its own, or as the initialiser of a variable. The time counts
// from the await. Allocates nothing in the steady state.
//
// May complete without suspending? Where the awaitable does.
// Observes cancellation? with_timeout() passes it on: kCancelled. shielded() does not.
// Resumes where? Where the awaitable resumes.
// What must outlive what? The awaitable outlives the await, which stands in the same expression.

#ifndef COAIO_CORO_WITH_TIMEOUT_H_
#define COAIO_CORO_WITH_TIMEOUT_H_

#include <chrono>
#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "coro/awaitable.h"
#include "coro/awaiter_of.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"
#include "runtime/time/timer_queue.h"

namespace coaio {

namespace internal {

// The source of what one with_deadline() awaits, and its timer.
class DeadlineScope : private CancelNode, private TimerNode {
 public:
  DeadlineScope(PromiseBase& task, TimePoint deadline);
  ~DeadlineScope();

 private:
  static void pass_on(CancelNode& node);
  static void fire(TimerNode& node);

  PromiseBase& task_;
  CancelSource* outer_;  // may be null
  CancelSource source_;
};

// The task awaits something that belongs to no source.
class ShieldScope {
 public:
  explicit ShieldScope(PromiseBase& task)
      : task_(task), context_(task.context()), outer_(task.exchange_source(nullptr)) {}
  ~ShieldScope();

 private:
  PromiseBase& task_;
  Context& context_;
  CancelSource* outer_;
};

// When a scope ends, relative to the await or not.
struct Until {
  TimePoint of(Context& context) const {
    return relative ? saturating_add(context.now(), delay) : deadline;
  }
  TimePoint deadline;
  std::chrono::nanoseconds delay{0};
  bool relative = false;
};

template <typename Scope, typename Inner>
class ScopedAwaiter {
 public:
  template <typename Get>
  ScopedAwaiter(Get get, Until until) : inner_(get()), until_(until) {}
  ScopedAwaiter(const ScopedAwaiter&) = delete;
  ScopedAwaiter& operator=(const ScopedAwaiter&) = delete;

  bool await_ready() { return inner_.await_ready(); }

  template <TaskPromiseType Promise>
  auto await_suspend(std::coroutine_handle<Promise> task) {
    if constexpr (std::is_same_v<Scope, ShieldScope>) {
      scope_.emplace(task.promise());
    } else {
      scope_.emplace(task.promise(), until_.of(task.promise().context()));
    }
    return inner_.await_suspend(task);
  }
  template <typename Other>
  void await_suspend(Other) = delete;  // await it in a coaio::Task

  decltype(auto) await_resume() {
    // Ends the scope after the frame of a task that was awaited.
    struct End {
      ~End() { scope.reset(); }
      std::optional<Scope>& scope;
    } const end{scope_};
    return inner_.await_resume();
  }

 private:
  std::optional<Scope> scope_;
  Inner inner_;
  Until until_;
};

template <typename Scope, typename Awaited>
class [[nodiscard("it does nothing until it is awaited")]] Scoped {
 public:
  explicit Scoped(Awaited&& awaited, Until until = {})
      : awaited_(std::forward<Awaited>(awaited)), until_(until) {}

  void operator co_await() & = delete;  // await it in the expression that makes it
  auto operator co_await() && {
    return ScopedAwaiter<Scope, AwaiterOf<Awaited>>(
        [this]() -> AwaiterOf<Awaited> { return awaiter_of(std::forward<Awaited>(awaited_)); },
        until_);
  }

 private:
  Awaited&& awaited_;
  Until until_;
};

}  // namespace internal

template <typename Awaited>
auto with_timeout(Duration delay, Awaited&& awaited) {
  return internal::Scoped<internal::DeadlineScope, Awaited>(
      std::forward<Awaited>(awaited), {.deadline = {}, .delay = delay, .relative = true});
}

template <typename D, typename Awaited>
auto with_deadline(std::chrono::time_point<std::chrono::steady_clock, D> deadline,
                   Awaited&& awaited) {
  return internal::Scoped<internal::DeadlineScope, Awaited>(std::forward<Awaited>(awaited),
                                                            {.deadline = saturate(deadline)});
}

template <typename Awaited>
auto shielded(Awaited&& awaited) {
  return internal::Scoped<internal::ShieldScope, Awaited>(std::forward<Awaited>(awaited));
}

}  // namespace coaio

#endif  // COAIO_CORO_WITH_TIMEOUT_H_
