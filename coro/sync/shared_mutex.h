// SharedMutex: many readers, or one writer.
//
//   SharedMutex mutex;
//   absl::StatusOr<SharedMutex::SharedLock> reading = co_await mutex.lock_shared();
//   absl::StatusOr<SharedMutex::Lock> writing = co_await mutex.lock();
//
// Fair: tasks get the lock in the order of asking, and neighbouring readers get it together. A
// reader that asks while a writer waits comes after that writer, so that readers cannot keep a
// writer out. So a task that reads must not ask a second time: it may wait for a writer that waits
// for the task itself.
//
// Threads, lifetime, fork and the four questions: as for Mutex (coro/sync/mutex.h).

#ifndef COAIO_CORO_SYNC_SHARED_MUTEX_H_
#define COAIO_CORO_SYNC_SHARED_MUTEX_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/sync/sync_object.h"
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
    SharedMutexLock released(std::move(other));
    std::swap(mutex_, released.mutex_);
    return *this;
  }
  ~SharedMutexLock();

 private:
  friend class coaio::SharedMutex;

  explicit SharedMutexLock(SharedMutex& mutex) : mutex_(&mutex) {}

  SharedMutex* mutex_;
};

}  // namespace internal

class SharedMutex : private internal::SyncObject {
 public:
  using Lock = internal::SharedMutexLock<internal::Access::kExclusive>;
  using SharedLock = internal::SharedMutexLock<internal::Access::kShared>;

  SharedMutex() = default;
  ~SharedMutex();

  class Waiter : public internal::SyncOperation<Waiter> {
   protected:
    Waiter(SharedMutex& mutex, internal::Access access) : mutex_(mutex), access_(access) {}

    SharedMutex& mutex_;

   private:
    friend class SharedMutex;
    friend class internal::SyncOperation<Waiter>;

    bool take_or_wait();
    bool leave();

    internal::Access access_;
  };

  template <internal::Access kAccess>
  class [[nodiscard("co_await it")]] Locking : public Waiter {
   public:
    explicit Locking(SharedMutex& mutex) : Waiter(mutex, kAccess) {}

    absl::StatusOr<internal::SharedMutexLock<kAccess>> await_resume() {
      this->end_granted();
      if (this->was_cancelled()) {
        return this->cancel_status();
      }
      return make_lock<kAccess>(this->mutex_);
    }
  };

  // absl::StatusOr of a lock: the lock, or kCancelled.
  Locking<internal::Access::kExclusive> lock() {
    return Locking<internal::Access::kExclusive>(*this);
  }
  Locking<internal::Access::kShared> lock_shared() {
    return Locking<internal::Access::kShared>(*this);
  }

  // Nothing if a task would have to wait for the lock. Any thread.
  std::optional<Lock> try_lock();
  std::optional<SharedLock> try_lock_shared();

 private:
  template <internal::Access kAccess>
  friend class internal::SharedMutexLock;

  template <internal::Access kAccess>
  static internal::SharedMutexLock<kAccess> make_lock(SharedMutex& mutex) {
    return internal::SharedMutexLock<kAccess>(mutex);
  }

  // Under mutex_. The third gives the lock to the waiters at the front that can have it.
  bool is_free_for(internal::Access access) const;
  void take(internal::Access access);
  void grant(internal::GrantedWaiters& granted);

  bool try_take(internal::Access access);
  void unlock(internal::Access access);

  std::size_t readers_ = 0;  // guarded by mutex_, and so are the next two
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
