#include "coro/sync/shared_mutex.h"

#include <mutex>
#include <optional>

#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

using internal::Access;

SharedMutex::~SharedMutex() {
  check(!writing_ && readers_ == 0 && waiters_.empty(),
        "a shared mutex is destroyed while tasks own it or wait for it: end these tasks first");
}

std::optional<SharedMutex::Lock> SharedMutex::try_lock() {
  return try_take(Access::kExclusive) ? std::optional(make_lock<Access::kExclusive>(*this))
                                      : std::nullopt;
}

std::optional<SharedMutex::SharedLock> SharedMutex::try_lock_shared() {
  return try_take(Access::kShared) ? std::optional(make_lock<Access::kShared>(*this))
                                   : std::nullopt;
}

bool SharedMutex::is_free_for(Access access) const {
  return !writing_ && (access == Access::kShared || readers_ == 0);
}

void SharedMutex::take(Access access) {
  if (access == Access::kShared) {
    ++readers_;
  } else {
    writing_ = true;
  }
}

void SharedMutex::grant(internal::GrantedWaiters& granted) {
  for (Waiter* next = waiters_.front(); next != nullptr && is_free_for(next->access_);
       next = waiters_.front()) {
    take(next->access_);
    waiters_.pop();
    granted.add(*next);
  }
}

bool SharedMutex::try_take(Access access) {
  const std::lock_guard guard(mutex_);
  if (!waiters_.empty() || !is_free_for(access)) {
    return false;
  }
  take(access);
  return true;
}

void SharedMutex::unlock(Access access) {
  internal::GrantedWaiters granted;
  const std::lock_guard guard(mutex_);
  if (access == Access::kShared) {
    --readers_;
  } else {
    writing_ = false;
  }
  grant(granted);
}

bool SharedMutex::Waiter::suspend(PromiseBase& task) {
  if (!start(task)) {
    return complete_at_once();
  }
  {
    const std::lock_guard guard(mutex_.mutex_);
    if (!mutex_.waiters_.empty() || !mutex_.is_free_for(access_)) {
      mutex_.waiters_.push(*this);
      return true;
    }
    mutex_.take(access_);
  }
  return complete_at_once();
}

// A writer that waited may have kept the readers behind it waiting.
void SharedMutex::Waiter::withdraw(CancelNode& node) {
  auto& self = static_cast<Waiter&>(static_cast<Operation&>(node));
  internal::GrantedWaiters granted;
  {
    const std::lock_guard guard(self.mutex_.mutex_);
    if (!internal::WaiterQueue<Waiter>::remove(self)) {
      return;
    }
    self.mutex_.grant(granted);
  }
  self.complete_cancelled();
}

}  // namespace coaio
