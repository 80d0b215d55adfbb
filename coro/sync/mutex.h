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
// hands it to the task that has waited longest. There is no unlock() to call, so that no way out of
// a scope forgets it. A task that locks what it has locked already waits for ever.
//
// Threads: tasks of several contexts may share a mutex. A Lock may be destroyed on any thread. What
//   one owner wrote is visible to the next.
// Lifetime: the mutex outlives its locks and waits, which is checked.
//
// lock(): May it complete without suspending? When the mutex is free, or the task was cancelled
//   before.
// Does it observe cancellation? Yes: kCancelled, and the task does not own the lock. A task that
// was
//   handed the lock owns it even if it was cancelled afterwards.
// Where does it resume? On the home context of its task, through that context's run queue.
// Who must outlive whom? The mutex outlives lock().

#ifndef COAIO_CORO_SYNC_MUTEX_H_
#define COAIO_CORO_SYNC_MUTEX_H_

#include <coroutine>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class ConditionVariable;
class Mutex;

namespace internal {

// A task that waits for a mutex, also at the end of a wait for a condition variable.
class MutexWaiter : public SyncWaiter {
 protected:
  MutexWaiter(Mutex& mutex, CancelNode::Cancel withdraw) : SyncWaiter(withdraw), mutex_(mutex) {}

  Mutex& mutex_;
};

}  // namespace internal

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  ~Mutex();

  // Owns the mutex until it is destroyed, unless it was moved from.
  class [[nodiscard("the mutex is unlocked at once")]] Lock {
   public:
    Lock(Lock&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Lock& operator=(Lock&& other) noexcept {
      std::swap(mutex_, other.mutex_);
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

  class [[nodiscard("co_await it")]] Locking : public internal::MutexWaiter {
   public:
    explicit Locking(Mutex& mutex) : MutexWaiter(mutex, &Locking::withdraw) {}

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> task) {
      return suspend(task.promise());
    }
    absl::StatusOr<Lock> await_resume();

   private:
    bool suspend(PromiseBase& task);
    static void withdraw(CancelNode& node);
  };

  // absl::StatusOr<Mutex::Lock>: the lock, or kCancelled.
  Locking lock() { return Locking(*this); }

  // Nothing if the mutex is locked. Any thread.
  std::optional<Lock> try_lock();

 private:
  friend class ConditionVariable;

  // Both under `mutex_`: takes the lock if it is free; gives it to the next waiter, or frees it.
  bool take();
  void hand_over(internal::GrantedWaiters& granted);
  void unlock();

  std::mutex mutex_;
  bool locked_ = false;
  internal::WaiterQueue<internal::MutexWaiter> waiters_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_MUTEX_H_
