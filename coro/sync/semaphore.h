// Semaphore: a number of permits that tasks share.
//
//   Semaphore connections(100);
//   ...
//   absl::StatusOr<Semaphore::Permits> permit = co_await connections.acquire();
//   if (!permit.ok()) co_return permit.status();    // the task was cancelled
//   ...                                             // given back at the end of the scope
//
// Tasks get their permits in the order of asking: a task that asks for many is not passed over for
// the sake of those behind it that ask for few. Permits give themselves back; release() adds
// permits that no task has acquired, and Permits::forget() takes some out of use.
//
// Threads: release(), try_acquire() and available() on any thread, and Permits may be destroyed on
//   any thread. Tasks of several contexts may share a semaphore. What a thread wrote before it gave
//   a permit back is visible to the task that gets it.
// Lifetime: the semaphore outlives its permits and waits; the latter is checked.
//
// acquire(): May it complete without suspending? When there are enough permits and no other task
//   waits, or the task was cancelled before.
// Does it observe cancellation? Yes: kCancelled, and the task has no permit. A task that was handed
//   its permits has them even if it was cancelled afterwards.
// Where does it resume? On the home context of its task, through that context's run queue.
// Who must outlive whom? The semaphore outlives acquire().

#ifndef COAIO_CORO_SYNC_SEMAPHORE_H_
#define COAIO_CORO_SYNC_SEMAPHORE_H_

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

class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) : available_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  ~Semaphore();

  // Gives its permits back when it is destroyed, unless it was moved from.
  class [[nodiscard("the permits are given back at once")]] Permits {
   public:
    Permits(Permits&& other) noexcept
        : semaphore_(other.semaphore_), count_(std::exchange(other.count_, 0)) {}
    Permits& operator=(Permits&& other) noexcept {
      std::swap(semaphore_, other.semaphore_);
      std::swap(count_, other.count_);
      return *this;
    }
    ~Permits() {
      if (count_ != 0) {
        semaphore_->release(count_);
      }
    }

    std::size_t count() const { return count_; }

    // The permits are not given back.
    void forget() { count_ = 0; }

   private:
    friend class Semaphore;

    Permits(Semaphore& semaphore, std::size_t count) : semaphore_(&semaphore), count_(count) {}

    Semaphore* semaphore_;
    std::size_t count_;
  };

  class [[nodiscard("co_await it")]] Acquire : public internal::SyncWaiter {
   public:
    Acquire(Semaphore& semaphore, std::size_t count)
        : SyncWaiter(&Acquire::withdraw), semaphore_(semaphore), count_(count) {}

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> task) {
      return suspend(task.promise());
    }
    absl::StatusOr<Permits> await_resume();

   private:
    friend class Semaphore;

    bool suspend(PromiseBase& task);
    static void withdraw(CancelNode& node);

    Semaphore& semaphore_;
    std::size_t count_;
  };

  // absl::StatusOr<Semaphore::Permits>: `count` permits, or kCancelled.
  Acquire acquire(std::size_t count = 1) { return {*this, count}; }

  // Nothing if there are not enough permits, or tasks wait for some.
  std::optional<Permits> try_acquire(std::size_t count = 1);

  // Adds permits.
  void release(std::size_t count = 1);

  // How many permits no task has. A hint: other threads may change it at once.
  std::size_t available() const;

 private:
  // Both under `mutex_`.
  bool take(std::size_t count);
  void grant(internal::GrantedWaiters& granted);

  mutable std::mutex mutex_;
  std::size_t available_;
  internal::WaiterQueue<Acquire> waiters_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_SEMAPHORE_H_
