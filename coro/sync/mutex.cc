#include "coro/sync/mutex.h"

#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

using namespace internal;

Mutex::~Mutex() {
  check((!locked_ && waiters_.empty()) || was_forked(),
        "a mutex is destroyed while a task owns it or waits for it: end these tasks first");
}

std::optional<Mutex::Lock> Mutex::try_lock() {
  const std::lock_guard guard(mutex_);
  return take() ? std::optional<Lock>(Lock(*this)) : std::nullopt;
}

bool Mutex::take() { return !std::exchange(locked_, true); }

// `locked_` stays true on the way from one owner to the next, so that no third task comes between.
void Mutex::hand_over(GrantedWaiters& granted) {
  if (SyncWaiter* next = waiters_.pop()) {
    granted.add(*next);
  } else {
    locked_ = false;
  }
}

void Mutex::unlock() {
  if (was_forked()) {
    return;
  }
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_);
  hand_over(granted);
}

bool Mutex::Locking::take_or_wait() {
  const std::lock_guard guard(mutex_.mutex_);
  if (!mutex_.take()) {
    mutex_.waiters_.push(*this);
    return false;
  }
  return true;
}

bool Mutex::Locking::leave() {
  const std::lock_guard guard(mutex_.mutex_);
  return WaiterQueue<SyncWaiter>::remove(*this);
}

absl::StatusOr<Mutex::Lock> Mutex::Locking::await_resume() {
  end_granted();
  if (was_cancelled()) {
    return cancel_status();
  }
  return Lock(mutex_);
}

}  // namespace coaio
