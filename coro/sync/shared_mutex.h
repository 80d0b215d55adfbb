// SharedMutex: many readers, or one writer.
//
//   SharedMutex mutex;
//   absl::StatusOr<SharedMutex::SharedLock> reading = co_await mutex.lock_shared();
//   absl::StatusOr<SharedMutex::Lock> writing = co_await mutex.lock();
//
// Fair: tasks get the lock in the order of asking, and neighbouring readers get it together. A
// reader that asks while a writer waits comes after that writer, so that readers cannot keep a
// writer out. A task that already reads must not ask a second time, therefore.
//
// Threads, lifetime and the four questions: as for Mutex (coro/sync/mutex.h).

#ifndef COAIO_CORO_SYNC_SHARED_MUTEX_H_
#define COAIO_CORO_SYNC_SHARED_MUTEX_H_

#include <coroutine>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class SharedMutex;

namespace internal {

enum class Access { kShared, kExclusive };

// Gives the lock back when it is destroyed, unless it was moved from.
template <Access kAccess>
class [[nodiscard("the mutex is unlocked at once")]] SharedMutexLock {
 public:
  SharedMutexLock(SharedMutexLock&& other) noexcept
      : mutex_(std::exchange(other.mutex_, nullptr)) {}
  SharedMutexLock& operator=(SharedMutexLock&& other) noexcept {
    std::swap(mutex_, other.mutex_);
    return *this;
  }
  ~SharedMutexLock();

 private:
  friend class coaio::SharedMutex;

  explicit SharedMutexLock(SharedMutex& mutex) : mutex_(&mutex) {}

  SharedMutex* mutex_;
};

}  // namespace internal

class SharedMutex {
 public:
  using Lock = internal::SharedMutexLock<internal::Access::kExclusive>;
  using SharedLock = internal::SharedMutexLock<internal::Access::kShared>;

  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;
  ~SharedMutex();

  class Waiter : public internal::SyncWaiter {
   protected:
    Waiter(SharedMutex& mutex, internal::Access access)
        : SyncWaiter(&Waiter::withdraw), mutex_(mutex), access_(access) {}

    bool suspend(PromiseBase& task);

    SharedMutex& mutex_;

   private:
    friend class SharedMutex;

    static void withdraw(CancelNode& node);

    internal::Access access_;
  };

  template <internal::Access kAccess>
  class [[nodiscard("co_await it")]] Locking : public Waiter {
   public:
    explicit Locking(SharedMutex& mutex) : Waiter(mutex, kAccess) {}

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> task) {
      return this->suspend(task.promise());
    }
    absl::StatusOr<internal::SharedMutexLock<kAccess>> await_resume() {
      this->end_operation();
      if (this->was_cancelled()) {
        return cancelled();
      }
      return internal::SharedMutexLock<kAccess>(make_lock<kAccess>(this->mutex_));
    }
  };

  // absl::StatusOr of a lock: the lock, or kCancelled.
  Locking<internal::Access::kExclusive> lock() {
    return Locking<internal::Access::kExclusive>(*this);
  }
  Locking<internal::Access::kShared> lock_shared() {
    return Locking<internal::Access::kShared>(*this);
  }

  // Nothing if the lock is not to be had at once. Any thread.
  std::optional<Lock> try_lock();
  std::optional<SharedLock> try_lock_shared();

 private:
  template <internal::Access kAccess>
  friend class internal::SharedMutexLock;

  template <internal::Access kAccess>
  static internal::SharedMutexLock<kAccess> make_lock(SharedMutex& mutex) {
    return internal::SharedMutexLock<kAccess>(mutex);
  }

  // All three under `mutex_`.
  bool is_free_for(internal::Access access) const;
  void take(internal::Access access);
  void grant(internal::GrantedWaiters& granted);

  bool try_take(internal::Access access);
  void unlock(internal::Access access);

  std::mutex mutex_;
  std::size_t readers_ = 0;
  bool writing_ = false;
  internal::WaiterQueue<Waiter> waiters_;
};

template <internal::Access kAccess>
internal::SharedMutexLock<kAccess>::~SharedMutexLock() {
  if (mutex_ != nullptr) {
    mutex_->unlock(kAccess);
  }
}

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_SHARED_MUTEX_H_
