// FdTable: the waiters and handlers of each descriptor, between the coroutines and callbacks above
// and the monitor below.
//
// One record per descriptor. The record merges the interests of its waiters and of its handlers
// into the one watch that the monitor knows. A descriptor is used in one of three ways:
//
// - borrowed (kOneShot): waiters wait for it once (FdWaiter); several queue for each direction;
// - handled (kLevel): callbacks are called while it is ready (set_handlers); waiters may join;
// - owned (kEdge): a WatchedFd belongs to the object that owns the descriptor.
//
// A report of the monitor puts the waiters and handlers that it concerns on one list, and
// dispatch() takes them from there one by one. What is on the list can be taken off again by its
// owner.
//
// Threads: the home thread.
// Lifetime: a waiter is removed before it is destroyed. A borrowed descriptor may be closed, and
//   opened again for another file, without notice while it has no waiter.

#ifndef COAIO_RUNTIME_FD_TABLE_H_
#define COAIO_RUNTIME_FD_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/fd_handlers.h"
#include "runtime/intrusive_list.h"

namespace coaio::internal {

class FdRecord;

// Waits for a descriptor once. It leaves the table before it is woken.
class FdWaiter : private ListNode {
 public:
  // `events` says what was seen, or kNone: the owner gave the descriptor up, and it may be closed
  // by now. In that case the waiter must not run its user's code inside the call.
  using Wake = void (*)(FdWaiter&, Events events);

  explicit FdWaiter(Wake wake) : wake_(wake) {}

  bool waiting() const { return linked(); }

 private:
  friend class FdTable;
  friend class IntrusiveList<FdWaiter>;

  bool due() const { return any(seen_); }

  Wake wake_;  // null: these are handlers
  FdRecord* record_ = nullptr;
  Events interest_ = Events::kNone;
  Events seen_ = Events::kNone;  // while it is due: what was reported
};

// The number of waiters for each event, so that a waiter comes and goes without a look at the
// others.
class InterestCounts {
 public:
  void add(Events interest) { change(interest, 1); }
  void remove(Events interest) { change(interest, ~std::uint32_t{0}); }

  Events interest() const {
    const Events directions = if_any(in_, Events::kIn) | if_any(out_, Events::kOut);
    return rare_ == 0 ? directions
                      : directions | if_any(priority_, Events::kPriority) |
                            if_any(read_hang_up_, Events::kReadHangUp) |
                            if_any(failure_, Events::kError | Events::kHangUp);
  }

 private:
  static Events if_any(std::uint32_t count, Events events) {
    return count != 0 ? events : Events::kNone;
  }

  void change(Events interest, std::uint32_t by) {
    in_ += any(interest & Events::kIn) ? by : 0;
    out_ += any(interest & Events::kOut) ? by : 0;
    if (any(interest & ~(Events::kIn | Events::kOut))) [[unlikely]] {
      rare_ += by;
      priority_ += any(interest & Events::kPriority) ? by : 0;
      read_hang_up_ += any(interest & Events::kReadHangUp) ? by : 0;
      failure_ += any(interest & kFailure) ? by : 0;
    }
  }

  std::uint32_t in_ = 0;
  std::uint32_t out_ = 0;
  std::uint32_t rare_ = 0;  // waiters for one of the following, among others
  std::uint32_t priority_ = 0;
  std::uint32_t read_hang_up_ = 0;
  std::uint32_t failure_ = 0;  // which is reported to waiters for nothing else, too
};

// Handlers that are set. They become due as a waiter does, and wait on.
struct FdHandling : FdWaiter {
  // Its place among the external handlers that are suspended.
  struct HeldBack : internal::ListNode {
    explicit HeldBack(FdHandling& h) : handling(h) {}
    FdHandling& handling;
  };

  explicit FdHandling(FdHandlers set) : FdWaiter(nullptr), handlers(std::move(set)) {}

  FdHandlers handlers;
  bool running = false;
  bool suspended = false;  // was reported when it must not be called: the watch leaves it out
  HeldBack held_back{*this};
};

// One descriptor.
class FdRecord {
 public:
  int fd() const { return fd_; }

  // Another one means another file: the descriptor got another owner.
  std::uint32_t generation() const { return generation_; }

  // For the owner: a direction is exhausted from the EAGAIN of an operation until the next report.
  void mark_exhausted(Events direction) { untried_ &= ~direction; }
  bool is_exhausted(Events direction) const { return !any(untried_ & direction); }

  // For the owner of a stream: whether a read that got less than it asked for has exhausted the
  // stream. A hang-up, an error or an urgent mark is reported once and lasts, so no further report
  // would announce what follows it.
  bool short_read_exhausts() const { return !any(lasting_); }

 private:
  friend class FdTable;

  Key key() const { return {.slot = static_cast<std::uint32_t>(fd_), .generation = generation_}; }

  int fd_ = -1;
  std::uint32_t generation_ = 0;
  Trigger trigger_ = Trigger::kOneShot;
  bool live_ = false;                // the monitor has a watch
  Events interest_ = Events::kNone;  // of that watch
  Events untried_ = Events::kNone;   // owned: directions not known to be exhausted
  Events lasting_ = Events::kNone;   // owned: reported, and true until the descriptor closes
  std::uint32_t due_ = 0;            // waiters on the list of those that are due
  InterestCounts waiting_;           // of `waiters_`, unless owned
  IntrusiveList<FdWaiter> waiters_;  // that are not due
  std::unique_ptr<FdHandling> handling_;
};

class FdTable {
 public:
  explicit FdTable(FdMonitor& monitor) : monitor_(&monitor) {}

  // Waits on a descriptor that belongs to others and stays open. One that is not open wakes the
  // waiter with kInvalid, in the next dispatch at the earliest.
  void wait(int fd, FdWaiter& waiter, Events interest);

  // Waits on an owned one. The owner has used it until EAGAIN, or knows that it would get one.
  void wait(FdRecord& record, FdWaiter& waiter, Events interest);

  // Ends a wait without waking. Tolerates a waiter that is not waiting.
  void remove(FdWaiter& waiter);

  // Replaces the handlers; two empty ones remove them. From any callback, their own included.
  // Replaced handlers are destroyed before it returns, unless they are running: then at their
  // return.
  void set_handlers(int fd, FdHandlers handlers);

  // Removes them, and calls `gone` once no handler that was set for this descriptor can be running
  // any more: at once, unless one of them nests the turn in which this is called.
  void remove_handlers(int fd, absl::AnyInvocable<void()> gone);

  // For the owner's end: destroys all handlers, whose own ends may set and remove others. Returns
  // whether there were any.
  bool discard_handlers();

  // Makes the caller the owner of the watch of this descriptor, until release(), which wakes the
  // tasks that still wait, with kNone. Release the descriptor before you close it.
  FdRecord& own(int fd);
  void release(FdRecord& record);

  // Removes the handlers of a borrowed descriptor, and wakes the tasks that wait for it, with
  // kNone.
  void give_up(int fd);

  // Whether an owned descriptor has a waiter for one of these directions already.
  bool is_waited_for(const FdRecord& record, Events interest) const;

  // External handlers are not called between the two, which nest. What was reported meanwhile is
  // reported again afterwards. Each costs at most one wake-up for nothing while it is held back.
  void disable_external() { ++external_disabled_; }
  void enable_external();

  // When it returns, the kernel holds no file on account of a wait, a handler or an owner that has
  // ended, so that close(2) closes the file. One call does for all of them.
  void settle() { monitor_->settle(); }

  // The monitor reported this. A report under a dead key is dropped.
  void report(Key key, Events events);

  // Wakes and calls what is due, in the order of the reports. Returns whether any waiter or handler
  // was called. May be nested: the inner call goes on with the list, and nothing is called twice.
  bool dispatch();

  bool has_reports() const { return !due_.empty() || !strays_.empty(); }

  // Whether a dispatch since the last look at the kernel has held back a handler. The kernel may
  // have more to report than such handlers then.
  bool suspended_handlers() const { return suspended_handlers_; }

  // Descriptors that the monitor watches.
  std::size_t watched() const { return watched_; }

  // Whether a look at the kernel can tell anything: a watch may have become ready, other than the
  // `polled` ones that are looked at in memory, or a change waits to be applied. looked() is told
  // of each look.
  bool worth_a_look(std::size_t polled) const { return watched_ > polled || changed_; }
  bool changed() const { return changed_; }
  void looked() { changed_ = suspended_handlers_ = false; }

  // Names the descriptors that still have a waiter or an owner, as part of a sentence; empty if
  // none.
  std::string describe_users() const;

  // Null: no Watchdog is told which handler runs.
  void set_activity(Activity* activity) { activity_ = activity; }

  // Arms every live watch on another monitor, which is used from now on.
  void move_to(FdMonitor& monitor);

 private:
  struct HandlerCall;

  // --- records and their watches: fd_table.cc ---------------------------------------------------

  FdRecord* find_or_add(int fd);
  FdRecord& record_of(int fd);
  static Events interest_of(const FdRecord& record);
  void arm(FdRecord& record, Events interest);
  void disarm(FdRecord& record);
  void renew(FdRecord& record, Trigger trigger);
  void list_due_waiters(FdRecord& record, Events events);
  void make_due(FdWaiter& waiter, Events events);
  void take_off_due(FdWaiter& waiter);

  // --- handlers: fd_table_handlers.cc -----------------------------------------------------------

  static Events interest_of(const FdHandling& handling);
  void list_due_handlers(FdRecord& record, Events events);
  bool call_handlers(FdHandling& handling, Events events);
  void suspend(FdHandling& handling);
  void resume(FdHandling& handling);
  void hold_back(FdHandling& handling);
  bool is_held_back(const FdHandling& handling) const;
  void keep_while_running(std::unique_ptr<FdHandling> handling);

  FdMonitor* monitor_;
  std::deque<FdRecord> records_;    // by descriptor; a deque, for records stay where they are
  FdRecord not_open_;               // of waiters for descriptors that are not open
  IntrusiveList<FdWaiter> due_;     // waiters and handlers to be called by dispatch()
  IntrusiveList<FdWaiter> strays_;  // waiters for descriptors that are not open
  std::size_t watched_ = 0;         // records with an interest
  bool changed_ = false;            // a watch was changed since the last look
  bool suspended_handlers_ = false;
  HandlerCall* calls_ = nullptr;  // the innermost
  unsigned external_disabled_ = 0;
  IntrusiveList<FdHandling::HeldBack> held_back_;
  Activity* activity_ = nullptr;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_FD_TABLE_H_
