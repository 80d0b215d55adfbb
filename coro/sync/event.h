// Event: a flag that tasks wait for.
//
//   Event ready;
//   ready.set();                                      // any thread
//   absl::Status status = co_await ready.wait();      // ends at once while the flag is set
//
// set() wakes every task that waits, in the order of waiting. The flag stays set until reset().
//
// Threads: set(), reset() and is_set() on any thread; tasks of several contexts may wait. A task
//   that set() has woken sees what the calling thread wrote before set().
// Lifetime: the event outlives its waits; the destructor checks this. The event also outlives the
//   calls of its functions, with one exception: the task that a set() has woken may destroy the
//   event before that set() returns.
// Fork: in a forked child an event of the parent can only be destroyed.
//
// wait(): May complete without suspending? When the flag is set, or the task was cancelled before.
// Observes cancellation? Yes: kCancelled. A task that set() has woken reports OK, even if it was
//   cancelled afterwards.
// Resumes where? On the home context of the task, through the run queue.
// What must outlive what? The event outlives wait().

#ifndef COAIO_CORO_SYNC_EVENT_H_
#define COAIO_CORO_SYNC_EVENT_H_

#include "absl/status/status.h"
#include "coro/sync/sync_object.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {

class Event : private internal::SyncObject {
 public:
  explicit Event(bool set = false) : set_(set) {}
  ~Event();

  void set();
  void reset();
  bool is_set() const;

  class [[nodiscard("co_await it")]] Wait : public internal::SyncOperation<Wait> {
   public:
    explicit Wait(Event& event) : event_(event) {}

    absl::Status await_resume();

   private:
    friend class internal::SyncOperation<Wait>;

    bool take_or_wait();
    bool leave();

    Event& event_;
  };

  // absl::Status: OK, or kCancelled.
  Wait wait() { return Wait(*this); }

 private:
  bool set_;  // guarded by mutex_, and so is the next
  internal::WaiterQueue<Wait> waiters_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_EVENT_H_
