#include "coro/sync/mutex.h"

#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

Mutex::~Mutex() {
  check(!locked_ && waiters_.empty(),
        "a mutex is destroyed while a task owns it or waits for it: end these tasks first");
}

std::optional<Mutex::Lock> Mutex::try_lock() {
  const std::lock_guard guard(mutex_);
  return take() ? std::optional<Lock>(Lock(*this)) : std::nullopt;
}

bool Mutex::take() { return !std::exchange(locked_, true); }

// `locked_` stays true on the way from one owner to the next, so that no third task comes between.
void Mutex::hand_over(internal::GrantedWaiters& granted) {
  if (internal::MutexWaiter* next = waiters_.pop()) {
    granted.add(*next);
  } else {
    locked_ = false;
  }
}

void Mutex::unlock() {
  internal::GrantedWaiters granted;
  const std::lock_guard guard(mutex_);
  hand_over(granted);
}

bool Mutex::Locking::suspend(PromiseBase& task) {
  if (!start(task)) {
    return complete_at_once();
  }
  {
    const std::lock_guard guard(mutex_.mutex_);
    if (!mutex_.take()) {
      mutex_.waiters_.push(*this);
      return true;
    }
  }
  return complete_at_once();
}

void Mutex::Locking::withdraw(CancelNode& node) {
  auto& self = static_cast<Locking&>(static_cast<Operation&>(node));
  if (const std::lock_guard guard(self.mutex_.mutex_);
      !internal::WaiterQueue<internal::MutexWaiter>::remove(self)) {
    return;
  }
  self.complete_cancelled();
}

absl::StatusOr<Mutex::Lock> Mutex::Locking::await_resume() {
  end_operation();
  if (was_cancelled()) {
    return cancelled();
  }
  return Lock(mutex_);
}

}  // namespace coaio
