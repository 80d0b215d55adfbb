#include "coro/sync/condition_variable.h"

#include <mutex>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/mutex.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

ConditionVariable::~ConditionVariable() {
  check(waiters_.empty(),
        "a condition variable is destroyed while tasks wait for it: end these tasks first");
}

void ConditionVariable::notify_one() {
  internal::GrantedWaiters granted;
  const std::lock_guard guard(mutex_.mutex_);
  if (Wait* waiter = waiters_.pop()) {
    waiter->notified_ = true;
    pass_on(*waiter, granted);
  }
}

void ConditionVariable::notify_all() {
  internal::GrantedWaiters granted;
  const std::lock_guard guard(mutex_.mutex_);
  while (Wait* waiter = waiters_.pop()) {
    waiter->notified_ = true;
    pass_on(*waiter, granted);
  }
}

void ConditionVariable::pass_on(Wait& waiter, internal::GrantedWaiters& granted) {
  if (mutex_.take()) {
    granted.add(waiter);
  } else {
    mutex_.waiters_.push(waiter);
  }
}

ConditionVariable::Wait::Wait(ConditionVariable& condition, Mutex::Lock& lock)
    : MutexWaiter(condition.mutex_, &Wait::withdraw), condition_(condition) {
  check(lock.mutex_ == &condition.mutex_,
        "a task waits for a condition variable with the lock of another mutex, or with none");
}

bool ConditionVariable::Wait::suspend(PromiseBase& task) {
  if (!start(task)) {
    return complete_at_once();  // the lock was not given up
  }
  internal::GrantedWaiters granted;
  const std::lock_guard guard(mutex_.mutex_);
  condition_.waiters_.push(*this);
  mutex_.hand_over(granted);
  return true;
}

// The task still has to own the lock before it goes on, and waits for that with the others.
void ConditionVariable::Wait::withdraw(CancelNode& node) {
  auto& self = static_cast<Wait&>(static_cast<Operation&>(node));
  internal::GrantedWaiters granted;
  const std::lock_guard guard(self.mutex_.mutex_);
  if (!self.notified_ && internal::WaiterQueue<Wait>::remove(self)) {
    self.withdrawn_ = true;
    self.condition_.pass_on(self, granted);
  }
}

absl::Status ConditionVariable::Wait::await_resume() {
  end_operation();
  return was_cancelled() || withdrawn_ ? cancelled() : absl::OkStatus();
}

}  // namespace coaio
