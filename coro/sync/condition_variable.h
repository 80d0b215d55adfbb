// ConditionVariable: tasks that wait until the state that a Mutex guards has changed.
//
//   absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
//   if (!lock.ok()) co_return lock.status();
//   while (queue.empty()) {
//     absl::Status status = co_await changed.wait(*lock);    // ConditionVariable changed(mutex);
//     if (!status.ok()) co_return status;
//   }
//
// wait() unlocks the mutex and begins to wait in one step, so that no notification is lost between
// the two. The task owns the lock again when wait() ends, however it ends. notify_all() wakes every
// task that waits at the time of the call. A notification moves a waiter to the queue of the mutex,
// and does not run it. A task that was woken may find that its condition is false, because another
// task was faster: wait in a loop.
//
// Threads: notify_one() and notify_all() on any thread, with or without the lock. Tasks of several
//   contexts may wait.
// Lifetime: the mutex outlives the condition variable. The condition variable outlives its waits;
//   the destructor checks this.
// Fork: in a forked child a condition variable of the parent can only be destroyed.
//
// wait(): May complete without suspending? Only if the task was cancelled before.
// Observes cancellation? Yes: kCancelled, after the lock was taken again. A task that was notified
//   reports OK, even if it was cancelled afterwards, so that no notification is lost.
// Resumes where? On the home context of the task, through the run queue.
// What must outlive what? The lock and the condition variable outlive wait().

#ifndef COAIO_CORO_SYNC_CONDITION_VARIABLE_H_
#define COAIO_CORO_SYNC_CONDITION_VARIABLE_H_

#include <cstdint>

#include "absl/status/status.h"
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

  class [[nodiscard("co_await it")]] Wait : public internal::SyncOperation<Wait> {
   public:
    Wait(ConditionVariable& condition, Mutex::Lock& lock);

    absl::Status await_resume();

   private:
    friend class ConditionVariable;
    friend class internal::SyncOperation<Wait>;

    // What has ended the wait for the condition: after that the task waits for the lock.
    enum class Cause : std::uint8_t { kNone, kNotified, kWithdrawn };

    bool take_or_wait();
    bool leave();

    ConditionVariable& condition_;
    Cause cause_ = Cause::kNone;  // guarded by the std::mutex of the Mutex
  };

  // absl::Status: OK, or kCancelled. The lock must be one of this variable's mutex.
  Wait wait(Mutex::Lock& lock) { return {*this, lock}; }

 private:
  // Under the std::mutex of the Mutex: the waiter takes the lock, or waits for it.
  void pass_on(Wait& waiter, Wait::Cause cause, internal::GrantedWaiters& granted);

  Mutex& mutex_;
  internal::WaiterQueue<Wait> waiters_;  // guarded by the std::mutex of the Mutex
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_CONDITION_VARIABLE_H_
