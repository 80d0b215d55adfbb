// ConditionVariable: tasks that wait until the state that a Mutex guards has changed.
//
//   Mutex mutex;
//   ConditionVariable changed(mutex);
//
//   absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
//   if (!lock.ok()) co_return lock.status();
//   while (queue.empty()) {
//     absl::Status status = co_await changed.wait(*lock);
//     if (!status.ok()) co_return status;
//   }
//
// wait() unlocks the mutex and begins to wait in one step, so that no notification is lost between,
// and owns the lock again when it ends, however it ends. A notification passes a waiter on to the
// queue of the mutex and does not run it. Every task that waits when notify_all() is called is
// woken by it. A task may also find its condition false after it was woken: another one was faster.
//
// Threads: notify_one() and notify_all() on any thread, with or without the lock. Tasks of several
//   contexts may wait.
// Lifetime: the mutex outlives the condition variable, which outlives its waits; both are checked.
//
// wait(): May it complete without suspending? Only if the task was cancelled before.
// Does it observe cancellation? Yes: kCancelled, after the lock was taken again. A task that was
//   notified reports OK even if it was cancelled afterwards, so that no notification is lost.
// Where does it resume? On the home context of its task, through that context's run queue.
// Who must outlive whom? The lock and the condition variable outlive wait().

#ifndef COAIO_CORO_SYNC_CONDITION_VARIABLE_H_
#define COAIO_CORO_SYNC_CONDITION_VARIABLE_H_

#include <coroutine>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/mutex.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class ConditionVariable {
 public:
  explicit ConditionVariable(Mutex& mutex) : mutex_(mutex) {}
  ConditionVariable(const ConditionVariable&) = delete;
  ConditionVariable& operator=(const ConditionVariable&) = delete;
  ~ConditionVariable();

  void notify_one();
  void notify_all();

  class [[nodiscard("co_await it")]] Wait : public internal::MutexWaiter {
   public:
    Wait(ConditionVariable& condition, Mutex::Lock& lock);

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> task) {
      return suspend(task.promise());
    }
    absl::Status await_resume();

   private:
    friend class ConditionVariable;

    bool suspend(PromiseBase& task);
    static void withdraw(CancelNode& node);

    ConditionVariable& condition_;
    bool notified_ = false;   // by a call of notify_one() or notify_all(), or
    bool withdrawn_ = false;  // by a request for cancellation: both guarded by mutex_.mutex_
  };

  // absl::Status: OK, or kCancelled. The lock must be one of this variable's mutex.
  Wait wait(Mutex::Lock& lock) { return {*this, lock}; }

 private:
  // Under mutex_.mutex_: the waiter takes the lock, or waits for it.
  void pass_on(Wait& waiter, internal::GrantedWaiters& granted);

  Mutex& mutex_;
  internal::WaiterQueue<Wait> waiters_;  // guarded by mutex_.mutex_
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_CONDITION_VARIABLE_H_
