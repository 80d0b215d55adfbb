// Event: a flag that tasks wait for.
//
//   Event ready;
//   ready.set();                                      // any thread
//   absl::Status status = co_await ready.wait();      // ends at once while the flag is set
//
// set() wakes every task that waits, in the order of waiting. The flag stays set until reset().
//
// Threads: set(), reset() and is_set() on any thread; tasks of several contexts may wait. What a
//   thread wrote before set() is visible to the tasks that set() wakes.
// Lifetime: the event outlives the calls and the waits on it, which is checked for the waits.
//
// wait(): May it complete without suspending? When the flag is set, or the task was cancelled
// before. Does it observe cancellation? Yes: kCancelled. A task that set() has woken reports OK
// even if it
//   was cancelled afterwards.
// Where does it resume? On the home context of its task, through that context's run queue.
// Who must outlive whom? The event outlives wait().

#ifndef COAIO_CORO_SYNC_EVENT_H_
#define COAIO_CORO_SYNC_EVENT_H_

#include <coroutine>
#include <mutex>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class Event {
 public:
  explicit Event(bool set = false) : set_(set) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();

  void set();
  void reset();
  bool is_set() const;

  class [[nodiscard("co_await it")]] Wait : public internal::SyncWaiter {
   public:
    explicit Wait(Event& event) : SyncWaiter(&Wait::withdraw), event_(event) {}

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> task) {
      return suspend(task.promise());
    }
    absl::Status await_resume();

   private:
    bool suspend(PromiseBase& task);
    static void withdraw(CancelNode& node);

    Event& event_;
  };

  // absl::Status: OK, or kCancelled.
  Wait wait() { return Wait(*this); }

 private:
  mutable std::mutex mutex_;
  bool set_;
  internal::WaiterQueue<Wait> waiters_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_EVENT_H_
