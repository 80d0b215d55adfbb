// WallTimer: a function that the loop calls when the clock on the wall shows a time.
//
//   WallTimer midnight(context, [&] { rotate_logs(); });
//   midnight.arm_at(next_midnight());
//
// The timer never fires before the clock shows its time, also if the clock is set. If the clock is
// set forward past the deadline, the timer fires at once. If it is set back, the timer fires later.
// For delays take a Timer, whose clock cannot be set.
//
// Threads: the home thread of the context.
// Lifetime: as that of a Timer.

#ifndef COAIO_RUNTIME_TIME_WALL_TIMER_H_
#define COAIO_RUNTIME_TIME_WALL_TIMER_H_

#include <chrono>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/duration.h"
#include "runtime/time/timer.h"
#include "runtime/time/wall_clock.h"

namespace coaio {

class WallTimer final : public CallbackTimer {
 public:
  WallTimer(Context& context, absl::AnyInvocable<void()> callback, const char* name = nullptr)
      : CallbackTimer(context, std::move(callback), name) {}
  ~WallTimer() { cancel(); }

  // Any time point of the system clock. A time that does not fit into nanoseconds means never or,
  // in the past, at once.
  template <typename D>
  void arm_at(std::chrono::time_point<std::chrono::system_clock, D> deadline) {
    internal::ContextAccess(context_).arm_wall(*this, saturate(deadline));
  }

  // False if it was not pending.
  bool cancel() { return internal::ContextAccess(context_).cancel_wall(*this); }
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_WALL_TIMER_H_
