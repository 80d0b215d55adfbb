// sleep_for, sleep_until: waiting for a time.
//
//   if (absl::Status status = co_await sleep_for(100ms); !status.ok()) co_return status;
//
// Never early, by the clock of the context. Equal deadlines end in the order of asking. Allocates
// nothing in the steady state. Any duration, and any time point of the steady clock: one that is
// too long for nanoseconds is for ever.
//
// May complete without suspending? When the time has come already, or cancelled before.
// Observes cancellation? Yes: kCancelled. A loop that ignores it would spin once it is cancelled.
// Resumes where? On the task's home, in the timer step of the turn.
// Who must outlive whom? No object outlives another one.

#ifndef COAIO_CORO_SLEEP_H_
#define COAIO_CORO_SLEEP_H_

#include <chrono>

#include "absl/status/status.h"
#include "coro/awaitable.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/call_kind.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"
#include "runtime/time/timer_queue.h"

namespace coaio {

class Sleep : public AwaitableOperation<Sleep>, private internal::TimerNode {
 public:
  explicit Sleep(TimePoint deadline)
      : internal::TimerNode(&Sleep::fire, internal::CallKind::kTaskAfterSleep),
        deadline_(deadline) {}
  explicit Sleep(Duration delay)
      : internal::TimerNode(&Sleep::fire, internal::CallKind::kTaskAfterSleep),
        delay_(delay),
        relative_(true) {}
  ~Sleep();

  absl::Status await_resume() const;

 private:
  friend class AwaitableOperation<Sleep>;
  friend class Awaitable<Sleep>;

  bool suspend(PromiseBase& task);
  void withdraw();
  static void fire(internal::TimerNode& timer);

  TimePoint deadline_;
  std::chrono::nanoseconds delay_{0};  // counted from the suspension
  bool relative_ = false;
};

[[nodiscard]] inline Sleep sleep_for(Duration delay) { return Sleep(delay); }
template <typename D>
[[nodiscard]] Sleep sleep_until(std::chrono::time_point<std::chrono::steady_clock, D> deadline) {
  return Sleep(saturate(deadline));
}

}  // namespace coaio

#endif  // COAIO_CORO_SLEEP_H_
