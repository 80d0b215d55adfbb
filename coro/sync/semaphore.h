// Semaphore: a number of permits that tasks share.
//
//   Semaphore connections(100);
//   ...
//   absl::StatusOr<Semaphore::Permits> permit = co_await connections.acquire();
//   if (!permit.ok()) co_return permit.status();    // the task was cancelled
//   ...                                             // given back at the end of the scope
//
// Tasks get permits in the order of asking. A task that asks for many permits is not passed over
// for tasks behind it that ask for few. Permits give themselves back; release() adds permits that
// no task has acquired, and Permits::forget() takes permits out of use.
//
// Threads: release(), try_acquire() and available() on any thread, and Permits may be destroyed on
//   any thread. Tasks of several contexts may share a semaphore. A task that gets a permit sees
//   what other threads wrote before they gave it back.
// Lifetime: the semaphore outlives its permits and its waits. The destructor checks the waits, but
//   not the permits.
// Fork: in a forked child a semaphore of the parent, and its permits, can only be destroyed.
//
// acquire(): May complete without suspending? When there are enough permits and no other task
//   waits, or the task was cancelled before.
// Observes cancellation? Yes: kCancelled, and the task has no permit. A task that was handed its
//   permits has them, even if it was cancelled afterwards.
// Resumes where? On the home context of the task, through the run queue.
// What must outlive what? The semaphore outlives acquire().

#ifndef COAIO_CORO_SYNC_SEMAPHORE_H_
#define COAIO_CORO_SYNC_SEMAPHORE_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "coro/sync/sync_object.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class Semaphore : private internal::SyncObject {
 public:
  explicit Semaphore(std::size_t permits) : available_(permits) {}
  ~Semaphore();

  // Gives its permits back when it is destroyed, unless it was moved from.
  class [[nodiscard("the permits are given back at once")]] Permits {
   public:
    Permits(Permits&& other) noexcept
        : semaphore_(other.semaphore_), count_(std::exchange(other.count_, 0)) {}
    Permits& operator=(Permits&& other) noexcept {
      Permits released(std::move(other));
      std::swap(semaphore_, released.semaphore_);
      std::swap(count_, released.count_);
      return *this;
    }
    ~Permits() {
      if (count_ != 0) {
        semaphore_->give_back(count_);
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

  class [[nodiscard("co_await it")]] Acquire : public internal::SyncOperation<Acquire> {
   public:
    Acquire(Semaphore& semaphore, std::size_t count) : semaphore_(semaphore), count_(count) {}

    absl::StatusOr<Permits> await_resume();

   private:
    friend class Semaphore;
    friend class internal::SyncOperation<Acquire>;

    bool take_or_wait();
    bool leave();

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
  void give_back(std::size_t count);

  // Under mutex_. The second gives permits to the waiters at the front that can have theirs.
  bool take(std::size_t count);
  void grant(internal::GrantedWaiters& granted);

  std::size_t available_;  // guarded by mutex_, and so is the next
  internal::WaiterQueue<Acquire> waiters_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_SEMAPHORE_H_
