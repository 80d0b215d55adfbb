#include "runtime/fd_table.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"

namespace coaio {
namespace {

constexpr Events kBothDirections = Events::kIn | Events::kOut;

// Conditions that do not go away while the descriptor is open: with one of them set, a short
// transfer does not mean that the next event announces what follows.
constexpr Events kSticky = kFailure | Events::kReadHangUp | Events::kPriority;

// The directions in which an operation would get an answer: data, space, an error or an end of
// file.
Events directions(Events events) {
  if (any(events & kFailure)) {
    return kBothDirections;
  }
  Events result = events & kBothDirections;
  if (any(events & (Events::kReadHangUp | Events::kPriority))) {
    result |= Events::kIn;
  }
  return result;
}

// The events other than failures that end a wait with this interest.
Events that_end(Events interest) {
  return any(interest & Events::kIn) ? interest | Events::kReadHangUp | Events::kPriority
                                     : interest;
}

}  // namespace

// --- waiting ------------------------------------------------------------------------------------

void FdTable::wait(int fd, FdWaiter& waiter, Events interest) {
  FdRecord& record = record_of(fd);
  // What a stream has seen reported and not used yet is not reported again.
  check(record.trigger != Trigger::kEdge,
        "a descriptor that a stream owns is waited for by its number: use the stream, or a dup() "
        "of it");
  wait(record, waiter, interest);
}

void FdTable::wait(FdRecord& record, FdWaiter& waiter, Events interest) {
  check(!waiter.waiting(), "one waiter waits for two descriptors");
  waiter.record_ = &record;
  waiter.interest_ = interest;
  record.waiters.push_back(waiter);
  if (record.trigger == Trigger::kEdge) {
    monitor_->want(record.key(), interest);
  } else {
    arm(record, interest_of(record));
  }
}

void FdTable::remove(FdWaiter& waiter) {
  if (!waiter.waiting()) {
    return;
  }
  waiter.unlink();
  FdRecord& record = *waiter.record_;
  if (record.trigger == Trigger::kEdge) {
    return;
  }
  const Events left = interest_of(record);
  if (record.trigger == Trigger::kOneShot && !any(left)) {
    // The number may be closed, and stand for another file, before the monitor hears of either.
    renew(record, Trigger::kOneShot);
  } else {
    arm(record, left);
  }
}

// --- handlers and owners ------------------------------------------------------------------------

void FdTable::set_handlers(int fd, FdHandlers handlers) {
  FdRecord& record = record_of(fd);
  check(record.trigger != Trigger::kEdge,
        "a handler is set for a descriptor that a stream owns: use the stream, or a dup() of it");
  // It may be the one that is running; and its end may come back here, when all is done.
  std::unique_ptr<FdHandling> replaced = std::move(record.handling);
  if (calling_ != 0 && replaced != nullptr) {
    replaced_.push_back(std::move(replaced));
  }
  const bool handled = handlers.read != nullptr || handlers.write != nullptr;
  record.handling = handled ? std::make_unique<FdHandling>(std::move(handlers)) : nullptr;
  // A new generation: what was reported to the old handlers is not for the new ones.
  renew(record, handled ? Trigger::kLevel : Trigger::kOneShot);
  arm(record, interest_of(record));
}

void FdTable::remove_handlers(int fd, absl::AnyInvocable<void()> gone) {
  set_handlers(fd, {});
  if (calling_ == 0) {
    gone();
  } else {
    gone_.push_back(std::move(gone));
  }
}

bool FdTable::discard_handlers() {
  bool any_left = false;
  // By number, for the end of a handler may add records.
  for (int fd = 0; static_cast<std::size_t>(fd) < records_.size(); ++fd) {
    if (records_[static_cast<std::size_t>(fd)].handling != nullptr) {
      any_left = true;
      set_handlers(fd, {});
    }
  }
  return any_left;
}

FdRecord& FdTable::own(int fd) {
  FdRecord& record = record_of(fd);
  check(
      record.trigger != Trigger::kEdge && record.waiters.empty() && record.handling == nullptr,
      "a descriptor gets an owner while others wait for it, or a second owner: has it been closed "
      "behind the back of the first?");
  renew(record, Trigger::kEdge);
  record.untried = kBothDirections;
  record.sticky = Events::kNone;
  arm(record, kBothDirections | Events::kReadHangUp | Events::kPriority);
  return record;
}

void FdTable::release(FdRecord& record) {
  renew(record, Trigger::kOneShot);
  while (FdWaiter* waiter = record.waiters.pop_front()) {
    waiter->wake_(*waiter, Events::kNone);
  }
  // Those who are due would use a number that may belong to another file by then.
  for (FdWaiter* waiter = due_.front(); waiter != nullptr;) {
    FdWaiter* next = due_.next(*waiter);
    if (waiter->record_ == &record) {
      waiter->unlink();
      waiter->wake_(*waiter, Events::kNone);
    }
    waiter = next;
  }
}

void FdTable::give_up(int fd) {
  if (fd < 0 || static_cast<std::size_t>(fd) >= records_.size()) {
    return;
  }
  FdRecord& record = records_[static_cast<std::size_t>(fd)];
  check(record.trigger != Trigger::kEdge,
        "release_fd() of a descriptor that a stream or listener owns: close that one instead");
  if (record.handling != nullptr) {
    set_handlers(fd, {});
  }
  release(record);
}

void FdTable::enable_external() {
  check(external_disabled_ != 0, "enable_external() without a disable_external()");
  if (--external_disabled_ != 0) {
    return;
  }
  for (const Key key : std::exchange(muted_external_, {})) {
    FdRecord& record = records_[key.slot];
    if (record.generation == key.generation) {
      unmute(record);
    }
  }
}

// --- the watch ----------------------------------------------------------------------------------

FdRecord& FdTable::record_of(int fd) {
  check(fd >= 0, "a negative number is waited for: look at the result of the call that made it");
  const auto index = static_cast<std::size_t>(fd);
  while (records_.size() <= index) {
    FdRecord& record = records_.emplace_back();
    record.fd = static_cast<int>(records_.size()) - 1;
  }
  return records_[index];
}

Events FdTable::interest_of(const FdRecord& record) {
  Events interest = waiting_interest(record);
  const FdHandling* handling = record.handling.get();
  if (handling != nullptr && !handling->muted) {
    interest |= handling->handlers.read != nullptr ? Events::kIn : Events::kNone;
    interest |= handling->handlers.write != nullptr ? Events::kOut : Events::kNone;
  }
  return interest;
}

Events FdTable::waiting_interest(const FdRecord& record) {
  Events interest = Events::kNone;
  for (FdWaiter* waiter = record.waiters.front(); waiter != nullptr;
       waiter = record.waiters.next(*waiter)) {
    interest |= waiter->interest_;
  }
  return interest;
}

bool FdTable::is_waited_for(const FdRecord& record, Events interest) const {
  Events waited_for = waiting_interest(record);
  for (FdWaiter* waiter = due_.front(); waiter != nullptr; waiter = due_.next(*waiter)) {
    waited_for |= waiter->record_ == &record ? waiter->interest_ : Events::kNone;
  }
  return any(waited_for & interest);
}

void FdTable::arm(FdRecord& record, Events interest) {
  if (record.live && record.interest == interest) {
    return;
  }
  if (!record.live && !any(interest)) {
    return;
  }
  watched_ += any(interest) ? 1 : 0;
  watched_ -= any(record.interest) ? 1 : 0;
  record.interest = interest;
  record.live = true;
  changed_ = true;
  monitor_->arm(record.fd, record.key(), interest, record.trigger);
}

void FdTable::disarm(FdRecord& record) {
  if (record.live) {
    watched_ -= any(record.interest) ? 1 : 0;
    record.interest = Events::kNone;
    record.live = false;
    changed_ = true;
    monitor_->disarm(record.key());
  }
}

// Ends the watch, and with it every report that is still under way; the next one has this trigger.
void FdTable::renew(FdRecord& record, Trigger trigger) {
  disarm(record);
  ++record.generation;
  record.pending = Events::kNone;
  record.trigger = trigger;
}

std::string FdTable::describe_users() const {
  std::string users;
  for (const FdRecord& record : records_) {
    if (record.trigger == Trigger::kEdge) {
      absl::StrAppend(&users, " the owner of descriptor ", record.fd, ";");
    } else if (!record.waiters.empty()) {
      absl::StrAppend(&users, " who waits for descriptor ", record.fd, ";");
    }
  }
  return users;
}

void FdTable::move_to(FdMonitor& monitor) {
  monitor_ = &monitor;
  for (FdRecord& record : records_) {
    if (!record.live) {
      continue;
    }
    monitor.arm(record.fd, record.key(), record.interest, record.trigger);
    if (record.trigger == Trigger::kEdge && any(interest_of(record))) {
      monitor.want(record.key(), interest_of(record));
    }
  }
}

// --- dispatch -----------------------------------------------------------------------------------

void FdTable::report(Key key, Events events) {
  FdRecord* record = key.slot < records_.size() ? &records_[key.slot] : nullptr;
  if (record == nullptr || record->generation != key.generation || !record->live) {
    return;
  }
  if (record->trigger == Trigger::kOneShot) {
    watched_ -= any(record->interest) ? 1 : 0;
    record->interest = Events::kNone;  // delivery ended it
  }
  // A record is listed once, however often it is reported before its dispatch.
  if (!any(std::exchange(record->pending, record->pending | events))) {
    reports_.push_back(key);
  }
}

bool FdTable::dispatch() {
  bool called = false;
  while (has_reports()) {
    called |= wake_next() || dispatch_next();
  }
  return called;
}

bool FdTable::dispatch_next() {
  const Key key = reports_[next_report_++];
  if (next_report_ == reports_.size()) {
    reports_.clear();
    next_report_ = 0;
  }
  FdRecord& record = records_[key.slot];
  if (record.generation != key.generation) {
    return false;
  }
  // Taken before anybody is called, so that a nested turn does not dispatch it again.
  const Events events = std::exchange(record.pending, Events::kNone);
  if (record.trigger == Trigger::kEdge) {
    record.untried |= directions(events);
    record.sticky |= events & kSticky;
  }
  list_due(record, events);
  bool called = false;
  while (wake_next()) {
    called = true;
  }
  if (record.generation == key.generation) {
    called |= call_handlers(record, events);
  }
  return called;
}

// The first waiter of each direction; of a level, the others get their turn with the next report,
// for what the first one leaves. An edge is not reported again, and a failure stays: they end all
// waits.
void FdTable::list_due(FdRecord& record, Events events) {
  Events left = events;
  for (FdWaiter* waiter = record.waiters.front(); waiter != nullptr;) {
    FdWaiter* next = record.waiters.next(*waiter);
    const Events ends = that_end(waiter->interest_);
    if (any((ends | kFailure) & left)) {
      waiter->unlink();
      waiter->seen_ = events;
      due_.push_back(*waiter);
      left &= record.trigger == Trigger::kEdge ? left : ~ends;
    }
    waiter = next;
  }
  if (record.trigger != Trigger::kEdge) {
    arm(record, interest_of(record));
  }
}

// One at a time: whoever is woken may end the waits of others, begin new ones, or nest a turn,
// which then wakes the rest.
bool FdTable::wake_next() {
  FdWaiter* waiter = due_.pop_front();
  if (waiter == nullptr) {
    return false;
  }
  waiter->wake_(*waiter, waiter->seen_);
  return true;
}

// --- handlers, called ---------------------------------------------------------------------------

bool FdTable::call_handlers(FdRecord& record, Events events) {
  FdHandling* handling = record.handling.get();
  if (handling == nullptr) {
    return false;
  }
  if (!may_call(*handling)) {
    mute(record);
    return false;
  }
  const std::uint32_t generation = record.generation;
  const Events ready = directions(events);
  bool called = false;
  ++calling_;
  handling->running = true;
  const Activity::Doing doing(activity_, Activity::Step::kHandler, handling->handlers.name,
                              record.fd);
  if (any(ready & Events::kIn) && handling->handlers.read != nullptr) {
    called = true;
    handling->handlers.read();
  }
  // The read handler may have removed both, and may have disabled them.
  if (any(ready & Events::kOut) && record.generation == generation &&
      handling->handlers.write != nullptr && !holds_back(handling->handlers)) {
    called = true;
    handling->handlers.write();
  }
  handling->running = false;
  if (record.generation == generation && handling->muted) {
    unmute(record);
  }
  if (--calling_ == 0) {
    destroy_replaced();
  }
  return called;
}

// Handlers that were replaced while some were running. Their ends may replace others.
void FdTable::destroy_replaced() {
  std::vector<std::unique_ptr<FdHandling>> replaced = std::exchange(replaced_, {});
  std::vector<absl::AnyInvocable<void()>> gone = std::exchange(gone_, {});
  replaced.clear();
  for (absl::AnyInvocable<void()>& tell : gone) {
    tell();
  }
}

bool FdTable::may_call(const FdHandling& handling) const {
  return !handling.running && !holds_back(handling.handlers);
}

// The report is dropped: once the handler is heard again, the kernel repeats what still holds.
void FdTable::mute(FdRecord& record) {
  record.handling->muted = true;
  if (holds_back(record.handling->handlers)) {
    muted_external_.push_back(record.key());
  }
  arm(record, interest_of(record));
}

// Of what must not be heard yet, whoever ends that is told to come back.
void FdTable::unmute(FdRecord& record) {
  if (holds_back(record.handling->handlers)) {
    muted_external_.push_back(record.key());
  } else if (record.handling->muted && !record.handling->running) {
    record.handling->muted = false;
    arm(record, interest_of(record));
  }
}

}  // namespace coaio
