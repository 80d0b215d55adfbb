#include "coro/sync/event.h"

#include <mutex>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

Event::~Event() {
  check(waiters_.empty(),
        "an event is destroyed while tasks wait for it: set() it, and let them end");
}

void Event::set() {
  internal::GrantedWaiters granted;
  const std::lock_guard lock(mutex_);
  set_ = true;
  while (Wait* waiter = waiters_.pop()) {
    granted.add(*waiter);
  }
}

void Event::reset() {
  const std::lock_guard lock(mutex_);
  set_ = false;
}

bool Event::is_set() const {
  const std::lock_guard lock(mutex_);
  return set_;
}

bool Event::Wait::suspend(PromiseBase& task) {
  if (!start(task)) {
    return complete_at_once();
  }
  {
    const std::lock_guard lock(event_.mutex_);
    if (!event_.set_) {
      event_.waiters_.push(*this);
      return true;
    }
  }
  return complete_at_once();
}

void Event::Wait::withdraw(CancelNode& node) {
  auto& self = static_cast<Wait&>(static_cast<Operation&>(node));
  if (const std::lock_guard lock(self.event_.mutex_); !internal::WaiterQueue<Wait>::remove(self)) {
    return;
  }
  self.complete_cancelled();
}

absl::Status Event::Wait::await_resume() {
  end_operation();
  return was_cancelled() ? cancelled() : absl::OkStatus();
}

}  // namespace coaio
