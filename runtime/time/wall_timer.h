// WallTimer: a function that the loop calls when the clock on the wall shows a time.
//
//   WallTimer midnight(context, [&] { rotate_logs(); });
//   midnight.arm_at(next_midnight());
//
// Never before the clock shows it, also when somebody sets the clock meanwhile: forward, and it
// fires at once; back, and it waits longer. For delays, Timer is right: nobody sets that clock.
//
// Threads: the home thread of the context.
// Lifetime: as that of a Timer.

#ifndef COAIO_RUNTIME_TIME_WALL_TIMER_H_
#define COAIO_RUNTIME_TIME_WALL_TIMER_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio {

class WallTimer final : private TimerNode {
 public:
  WallTimer(Context& context, absl::AnyInvocable<void()> callback)
      : TimerNode(&WallTimer::call), context_(context), callback_(std::move(callback)) {}
  ~WallTimer() { cancel(); }

  void arm_at(WallTime deadline) { ContextAccess(context_).arm_wall(*this, deadline); }

  // False if it was not pending.
  bool cancel() { return ContextAccess(context_).cancel_wall(*this); }

  bool pending() const { return TimerNode::pending(); }

 private:
  static void call(TimerNode& node) { static_cast<WallTimer&>(node).callback_(); }

  Context& context_;
  absl::AnyInvocable<void()> callback_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_WALL_TIMER_H_
