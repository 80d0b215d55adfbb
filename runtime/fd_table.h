// FdTable: who waits for which descriptor, between the waiters above and the monitor below.
//
// One record per descriptor number. The record merges the interests of its waiters and of its
// handlers into the one watch that the monitor knows, and holds what was reported until it is
// dispatched. A descriptor is used in one of three ways:
//
//   borrowed   anybody waits for it once (FdWaiter), several waiters queue per direction;  kOneShot
//   handled    callbacks are called while it is ready (set_handlers), waiters may join;     kLevel
//   owned      a WatchedFd belongs to the object that owns the descriptor;                  kEdge
//
// Threads: the home thread.
// Lifetime: a waiter is taken out (remove) before it dies. A number that was closed and opened
//   again needs no notice when it was merely borrowed and nobody was waiting.

#ifndef COAIO_RUNTIME_FD_TABLE_H_
#define COAIO_RUNTIME_FD_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/intrusive_list.h"

namespace coaio {

struct FdRecord;

// Somebody who waits once. Woken by the dispatch of an event that its interest matches, and taken
// out of the record before.
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

  Wake wake_;
  FdRecord* record_ = nullptr;
  Events interest_ = Events::kNone;
  Events seen_ = Events::kNone;  // while it is due
};

// Called while the descriptor is ready; an empty one asks for nothing. Error and hang-up call both.
// A handler is not called while one of the two is running, which a nested turn would do.
struct FdHandlers {
  absl::AnyInvocable<void()> read;
  absl::AnyInvocable<void()> write;

  // Brings work from clients, as opposed to completions of our own: disable_external() holds it
  // back.
  bool external = false;

  // What a Watchdog calls it. Outlives the handlers.
  const char* name = nullptr;
};

// Handlers that are set.
struct FdHandling {
  FdHandlers handlers;
  bool running = false;
  // Was reported when it must not be called, so the watch leaves it out for now.
  bool muted = false;
};

// One descriptor number.
struct FdRecord {
  int fd = -1;
  std::uint32_t generation = 0;
  Trigger trigger = Trigger::kOneShot;
  bool live = false;                // the monitor has a watch
  Events interest = Events::kNone;  // of that watch
  Events pending = Events::kNone;   // reported, not dispatched
  Events untried = Events::kNone;   // owned: directions not known to be exhausted
  Events sticky = Events::kNone;    // owned: reported, and lasts until the descriptor closes
  IntrusiveList<FdWaiter> waiters;
  std::unique_ptr<FdHandling> handling;

  Key key() const { return {.slot = static_cast<std::uint32_t>(fd), .generation = generation}; }
};

class FdTable {
 public:
  explicit FdTable(FdMonitor& monitor) : monitor_(&monitor) {}

  // Waits on a descriptor that somebody else owns and keeps open.
  void wait(int fd, FdWaiter& waiter, Events interest);

  // Waits on an owned one. The owner has used it until EAGAIN, or knows that it would get one.
  void wait(FdRecord& record, FdWaiter& waiter, Events interest);

  // Ends a wait without waking. Tolerates a waiter that is not waiting.
  void remove(FdWaiter& waiter);

  // Replaces the handlers; two empty ones remove them. From any callback, their own included.
  void set_handlers(int fd, FdHandlers handlers);

  // Removes them, and calls `gone` once no handler that was set before can be running any more: at
  // once, unless a handler nests the turn in which this is called.
  void remove_handlers(int fd, absl::AnyInvocable<void()> gone);

  // For the owner's end: destroys all handlers, whose own ends may set and remove others. Returns
  // whether there were any.
  bool discard_handlers();

  // Makes the caller the owner of the watch of this descriptor, until release(), which wakes those
  // who still wait with kNone. Release, then close.
  FdRecord& own(int fd);
  void release(FdRecord& record);

  // Removes the handlers of a borrowed descriptor, and wakes those who wait for it with kNone.
  void give_up(int fd);

  // Whether somebody waits for one of these directions already.
  bool is_waited_for(const FdRecord& record, Events interest) const;

  // External handlers are not called between the two, which nest. What they would have been told is
  // told afterwards. Each costs at most one wake-up for nothing while it is held back.
  void disable_external() { ++external_disabled_; }
  void enable_external();

  // The monitor reported this. A report under a dead key is dropped.
  void report(Key key, Events events);

  // Dispatches what was reported, in the order of the reports. Returns whether anybody was called.
  // May be nested: who comes first dispatches, and nothing is dispatched twice.
  bool dispatch();

  bool has_reports() const { return next_report_ < reports_.size() || !due_.empty(); }

  // Descriptors that the monitor watches.
  std::size_t watched() const { return watched_; }

  // Whether a look at the kernel can tell anything: a watch may have become ready, other than the
  // `polled` ones that somebody looks at in memory, or a change waits to be applied. looked() is
  // told of each look.
  bool worth_a_look(std::size_t polled) const { return watched_ > polled || changed_; }
  bool changed() const { return changed_; }
  void looked() { changed_ = false; }

  // Names the descriptors that still have a waiter or an owner, as part of a sentence; empty if
  // none.
  std::string describe_users() const;

  // Null: nobody watches which handler runs.
  void set_activity(Activity* activity) { activity_ = activity; }

  // Arms every live watch on another monitor, which is used from now on.
  void move_to(FdMonitor& monitor);

 private:
  FdRecord& record_of(int fd);
  static Events interest_of(const FdRecord& record);
  static Events waiting_interest(const FdRecord& record);
  void arm(FdRecord& record, Events interest);
  void disarm(FdRecord& record);
  void renew(FdRecord& record, Trigger trigger);
  bool dispatch_next();
  void list_due(FdRecord& record, Events events);
  bool wake_next();
  bool call_handlers(FdRecord& record, Events events);
  bool may_call(const FdHandling& handling) const;
  void mute(FdRecord& record);
  void unmute(FdRecord& record);
  bool holds_back(const FdHandlers& handlers) const {
    return handlers.external && external_disabled_ != 0;
  }
  void destroy_replaced();

  FdMonitor* monitor_;
  std::deque<FdRecord> records_;  // by descriptor number; a deque, for records stay where they are
  std::vector<Key> reports_;
  std::size_t next_report_ = 0;
  IntrusiveList<FdWaiter> due_;  // have been reported to, and are about to be woken
  std::size_t watched_ = 0;      // records with an interest
  bool changed_ = false;         // the monitor was told something since the last look
  int calling_ = 0;  // depth of handler calls: replaced handlers are kept while it is not zero
  std::vector<std::unique_ptr<FdHandling>> replaced_;
  std::vector<absl::AnyInvocable<void()>> gone_;  // to be called when replaced_ is destroyed
  unsigned external_disabled_ = 0;
  std::vector<Key> muted_external_;
  Activity* activity_ = nullptr;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_FD_TABLE_H_
