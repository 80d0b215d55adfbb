// Timer: a function that the loop calls when its time has come.
//
//   Timer tick(context, [&] { tick.arm_after(1s); ... });
//   tick.arm_after(1s);
//
// A timer is never early. It is late if the loop is busy, and by the time that the machine takes to
// wake up. Equal deadlines fire in the order of arming. Arming a pending timer moves it.
//
// Threads: the home thread of the context.
// Lifetime: the callback may arm, cancel or delete its own timer. After it has deleted the timer,
//   it must not use its captures. The destructor cancels. The context outlives the timer, and so
//   does `name`, by which a Watchdog names the timer.

#ifndef COAIO_RUNTIME_TIME_TIMER_H_
#define COAIO_RUNTIME_TIME_TIMER_H_

#include <chrono>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"
#include "runtime/time/timer_queue.h"

namespace coaio {

// What Timer and WallTimer have in common.
class CallbackTimer : protected internal::NamedTimerNode {
 public:
  bool pending() const { return internal::TimerNode::pending(); }

 protected:
  CallbackTimer(Context& context, absl::AnyInvocable<void()> callback, const char* name)
      : internal::NamedTimerNode(&CallbackTimer::call, name),
        context_(context),
        callback_(std::move(callback)) {}

  Context& context_;

 private:
  static void call(internal::TimerNode& node) { static_cast<CallbackTimer&>(node).callback_(); }

  absl::AnyInvocable<void()> callback_;
};

class Timer final : public CallbackTimer {
 public:
  Timer(Context& context, absl::AnyInvocable<void()> callback, const char* name = nullptr)
      : CallbackTimer(context, std::move(callback), name) {}
  ~Timer() { cancel(); }

  // Any time point of the steady clock, and any duration. A time that does not fit into nanoseconds
  // means never or, in the past, at once.
  template <typename D>
  void arm_at(std::chrono::time_point<std::chrono::steady_clock, D> deadline) {
    internal::ContextAccess(context_).arm(*this, saturate(deadline));
  }
  void arm_after(Duration delay) {
    internal::ContextAccess(context_).arm(*this, saturating_add(context_.now(), delay));
  }

  // False if it was not pending.
  bool cancel() { return internal::ContextAccess(context_).cancel(*this); }
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_TIMER_H_
