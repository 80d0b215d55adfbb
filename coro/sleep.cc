#include "coro/sleep.h"

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"

namespace coaio {

using namespace internal;

Sleep::~Sleep() {
  if (pending()) {
    ContextAccess(context()).cancel(static_cast<TimerNode&>(*this));
  }
}

bool Sleep::suspend(PromiseBase& task) {
  if (!start(task)) {
    return complete_at_once();
  }
  const TimePoint now = context().now();
  const TimePoint deadline = relative_ ? saturating_add(now, delay_) : deadline_;
  if (deadline <= now) {
    return complete_at_once();
  }
  ContextAccess(context()).arm(*this, deadline);
  return true;
}

void Sleep::fire(TimerNode& timer) { static_cast<Sleep&>(timer).complete(); }

void Sleep::withdraw() {
  ContextAccess(context()).cancel(static_cast<TimerNode&>(*this));
  complete_cancelled();
}

absl::Status Sleep::await_resume() const {
  return was_cancelled() ? cancel_status() : absl::OkStatus();
}

}  // namespace coaio
