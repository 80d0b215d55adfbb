// Mutex: one task at a time.
//
//   Mutex mutex;
//   ...
//   absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
//   if (!lock.ok()) co_return lock.status();        // the task was cancelled
//   ... co_await what you like ...
//                                                   // unlocks at the end of the scope
//
// A task keeps the lock while it is suspended. Tasks get the lock in the order of asking: unlocking
// hands the lock to the task that has waited longest. There is no unlock() to call, so that no way
// out of a scope forgets it. A task that locks a mutex twice waits for itself.
//
// Threads: tasks of several contexts may share a mutex. A Lock may be destroyed on any thread. An
//   owner sees what the owners before it wrote.
// Lifetime: the mutex outlives its locks and waits, which is checked.
// Fork: in a forked child a mutex of the parent, and its locks, can only be destroyed.
//
// lock(): May complete without suspending? When the mutex is free, or the task was cancelled
//   before.
// Observes cancellation? Yes: kCancelled, and the task does not own the lock. A task that was
//   handed the lock owns it, even if the task was cancelled afterwards.
// Resumes where? On the home context of the task, through the run queue.
// What must outlive what? The mutex outlives lock().

#ifndef COAIO_CORO_SYNC_MUTEX_H_
#define COAIO_CORO_SYNC_MUTEX_H_

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "coro/sync/sync_object.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class Mutex : private internal::SyncObject {
 public:
  Mutex() = default;
  ~Mutex();

  // Owns the mutex until it is destroyed, unless it was moved from.
  class [[nodiscard("the mutex is unlocked at once")]] Lock {
   public:
    Lock(Lock&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Lock& operator=(Lock&& other) noexcept {
      Lock released(std::move(other));
      std::swap(mutex_, released.mutex_);
      return *this;
    }
    ~Lock() {
      if (mutex_ != nullptr) {
        mutex_->unlock();
      }
    }

   private:
    friend class Mutex;
    friend class ConditionVariable;

    explicit Lock(Mutex& mutex) : mutex_(&mutex) {}

    Mutex* mutex_;
  };

  class [[nodiscard("co_await it")]] Locking : public internal::SyncOperation<Locking> {
   public:
    explicit Locking(Mutex& mutex) : mutex_(mutex) {}

    absl::StatusOr<Lock> await_resume();

   private:
    friend class internal::SyncOperation<Locking>;

    bool take_or_wait();
    bool leave();

    Mutex& mutex_;
  };

  // absl::StatusOr<Mutex::Lock>: the lock, or kCancelled.
  Locking lock() { return Locking(*this); }

  // Nothing if the mutex is locked. Any thread.
  std::optional<Lock> try_lock();

 private:
  friend class ConditionVariable;

  // Under mutex_. The first takes the lock if it is free. The second gives the lock to the next
  // waiter, or frees it.
  bool take();
  void hand_over(internal::GrantedWaiters& granted);
  void unlock();

  bool locked_ = false;  // guarded by mutex_, and so is the next
  internal::WaiterQueue<internal::SyncWaiter> waiters_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_MUTEX_H_
