#include "coro/sync/event.h"

#include <mutex>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

using namespace internal;

Event::~Event() {
  check(waiters_.empty() || was_forked(),
        "an event is destroyed while tasks wait for it: set() it, and let them end");
}

void Event::set() {
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_);
  set_ = true;
  while (Wait* waiter = waiters_.pop()) {
    granted.add(*waiter);
  }
}

void Event::reset() {
  const std::lock_guard guard(mutex_);
  set_ = false;
}

bool Event::is_set() const {
  const std::lock_guard guard(mutex_);
  return set_;
}

bool Event::Wait::take_or_wait() {
  const std::lock_guard guard(event_.mutex_);
  if (!event_.set_) {
    event_.waiters_.push(*this);
    return false;
  }
  return true;
}

bool Event::Wait::leave() {
  const std::lock_guard guard(event_.mutex_);
  return WaiterQueue<Wait>::remove(*this);
}

absl::Status Event::Wait::await_resume() {
  end_granted();
  return was_cancelled() ? cancel_status() : absl::OkStatus();
}

}  // namespace coaio
