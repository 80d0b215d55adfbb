// sleep_for, sleep_until: wait for a point in time.
//
//   absl::Status status = co_await sleep_for(100ms);
//   if (!status.ok()) co_return status;
//
// Measured by the clock of the context, a sleep never ends early. Sleeps with equal deadlines end
// in the order in which they began. A sleep takes any duration, or any time point of the steady
// clock; a value too large for nanoseconds is for ever. Sleeping allocates nothing in the steady
// state.
//
// May complete without suspending? Yes: when the time has come already, or when the task was
//   cancelled before.
// Observes cancellation? Yes: kCancelled. A loop that ignores the status spins once its task is
//   cancelled.
// Resumes where? On the task's home: in the timer step of a turn, or through the run queue after a
//   cancellation.
// What must outlive what? There is no such requirement.

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
