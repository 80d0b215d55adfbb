// Timer: a function that the loop calls when its time has come.
//
//   Timer tick(context, [&] { tick.arm_after(1s); ... });
//   tick.arm_after(1s);
//
// Never early; late by what the loop is busy with, and by what the machine needs to wake up. Equal
// deadlines fire in the order of arming. Arming a pending timer moves it.
//
// Threads: the home thread of the context.
// Lifetime: the callback may arm, cancel or delete its own timer; after deleting it, it must not
//   use what it captured.

#ifndef COAIO_RUNTIME_TIME_TIMER_H_
#define COAIO_RUNTIME_TIME_TIMER_H_

#include <chrono>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"

namespace coaio {

class Timer final : private TimerNode {
 public:
  Timer(Context& context, absl::AnyInvocable<void()> callback)
      : TimerNode(&Timer::call), context_(context), callback_(std::move(callback)) {}
  ~Timer() { cancel(); }

  void arm_at(TimePoint deadline) { ContextAccess(context_).arm(*this, deadline); }
  void arm_after(std::chrono::nanoseconds delay) {
    ContextAccess(context_).arm(*this, saturating_add(context_.now(), delay));
  }

  // False if it was not pending.
  bool cancel() { return ContextAccess(context_).cancel(*this); }

  bool pending() const { return TimerNode::pending(); }

 private:
  static void call(TimerNode& node) { static_cast<Timer&>(node).callback_(); }

  Context& context_;
  absl::AnyInvocable<void()> callback_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_TIMER_H_
