#include "coro/sync/condition_variable.h"

#include <mutex>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/sync/mutex.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

using namespace internal;

ConditionVariable::~ConditionVariable() {
  check(waiters_.empty() || mutex_.was_forked(),
        "a condition variable is destroyed while tasks wait for it: end these tasks first");
}

void ConditionVariable::notify_one() {
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_.mutex_);
  if (Wait* waiter = waiters_.pop()) {
    pass_on(*waiter, Wait::Cause::kNotified, granted);
  }
}

void ConditionVariable::notify_all() {
  GrantedWaiters granted;
  const std::lock_guard guard(mutex_.mutex_);
  while (Wait* waiter = waiters_.pop()) {
    pass_on(*waiter, Wait::Cause::kNotified, granted);
  }
}

void ConditionVariable::pass_on(Wait& waiter, Wait::Cause cause, GrantedWaiters& granted) {
  waiter.cause_ = cause;
  if (mutex_.take()) {
    granted.add(waiter);
  } else {
    mutex_.waiters_.push(waiter);
  }
}

ConditionVariable::Wait::Wait(ConditionVariable& condition, Mutex::Lock& lock)
    : condition_(condition) {
  check(lock.mutex_ == &condition.mutex_,
        "a task waits for a condition variable with the lock of another mutex, or with none");
}

// A task that was cancelled before does not come here, and keeps the lock.
bool ConditionVariable::Wait::take_or_wait() {
  GrantedWaiters granted;
  const std::lock_guard guard(condition_.mutex_.mutex_);
  cause_ = Cause::kNone;
  condition_.waiters_.push(*this);
  condition_.mutex_.hand_over(granted);
  return false;
}

// The task has to own the lock before it goes on, and waits for the lock behind the others; so the
// operation is not over yet.
bool ConditionVariable::Wait::leave() {
  GrantedWaiters granted;
  const std::lock_guard guard(condition_.mutex_.mutex_);
  if (cause_ == Cause::kNone) {
    note_cause();
    WaiterQueue<Wait>::remove(*this);
    condition_.pass_on(*this, Cause::kWithdrawn, granted);
  }
  return false;
}

absl::Status ConditionVariable::Wait::await_resume() {
  end_granted();
  return was_cancelled() ? cancel_status() : absl::OkStatus();
}

}  // namespace coaio
