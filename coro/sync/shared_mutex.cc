#include "coro/sync/shared_mutex.h"

#include <mutex>
#include <optional>

#include "backends/check.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

using namespace internal;

SharedMutex::~SharedMutex() {
  check((!writing_ && readers_ == 0 && waiters_.empty()) || was_forked(),
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

void SharedMutex::grant(GrantedWaiters& granted) {
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
  if (was_forked()) {
    return;
  }
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_);
  if (access == Access::kShared) {
    --readers_;
  } else {
    writing_ = false;
  }
  grant(granted);
}

bool SharedMutex::Waiter::take_or_wait() {
  const std::lock_guard guard(mutex_.mutex_);
  if (!mutex_.waiters_.empty() || !mutex_.is_free_for(access_)) {
    mutex_.waiters_.push(*this);
    return false;
  }
  mutex_.take(access_);
  return true;
}

// A writer that waited may have kept the readers behind it waiting.
bool SharedMutex::Waiter::leave() {
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_.mutex_);
  if (!WaiterQueue<Waiter>::remove(*this)) {
    return false;
  }
  mutex_.grant(granted);
  return true;
}

}  // namespace coaio
