#include "coro/sync/semaphore.h"

#include <cstddef>
#include <limits>
#include <mutex>
#include <optional>

#include "absl/status/statusor.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

using namespace internal;

Semaphore::~Semaphore() {
  check(waiters_.empty() || was_forked(),
        "a semaphore is destroyed while tasks wait for permits: end these tasks first");
}

std::optional<Semaphore::Permits> Semaphore::try_acquire(std::size_t count) {
  const std::lock_guard guard(mutex_);
  return take(count) ? std::optional<Permits>(Permits(*this, count)) : std::nullopt;
}

void Semaphore::give_back(std::size_t count) {
  if (!was_forked()) {
    release(count);
  }
}

void Semaphore::release(std::size_t count) {
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_);
  check(count <= std::numeric_limits<std::size_t>::max() - available_,
        "a semaphore is given more permits than it can count");
  available_ += count;
  grant(granted);
}

std::size_t Semaphore::available() const {
  const std::lock_guard guard(mutex_);
  return available_;
}

bool Semaphore::take(std::size_t count) {
  if (!waiters_.empty() || available_ < count) {
    return false;
  }
  available_ -= count;
  return true;
}

void Semaphore::grant(GrantedWaiters& granted) {
  for (Acquire* next = waiters_.front(); next != nullptr && next->count_ <= available_;
       next = waiters_.front()) {
    available_ -= next->count_;
    waiters_.pop();
    granted.add(*next);
  }
}

bool Semaphore::Acquire::take_or_wait() {
  const std::lock_guard guard(semaphore_.mutex_);
  if (!semaphore_.take(count_)) {
    semaphore_.waiters_.push(*this);
    return false;
  }
  return true;
}

// A task that waited for many permits may have kept the tasks behind it waiting.
bool Semaphore::Acquire::leave() {
  GrantedWaiters granted;
  const std::lock_guard guard(semaphore_.mutex_);
  if (!WaiterQueue<Acquire>::remove(*this)) {
    return false;
  }
  semaphore_.grant(granted);
  return true;
}

absl::StatusOr<Semaphore::Permits> Semaphore::Acquire::await_resume() {
  end_granted();
  if (was_cancelled()) {
    return cancel_status();
  }
  return Permits(semaphore_, count_);
}

}  // namespace coaio
