#include "runtime/fd_table.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"

namespace coaio {
namespace {

constexpr Events kBothDirections = Events::kIn | Events::kOut;

// Conditions that do not go away while the descriptor is open: with one of them set, a short transfer
// does not mean that the next event announces what follows.
constexpr Events kSticky = kFailure | Events::kReadHangUp | Events::kPriority;

// The directions in which an operation would get an answer: data, space, an error or an end of file.
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

}  // namespace

// --- waiting ------------------------------------------------------------------------------------------

void FdTable::wait(int fd, FdWaiter& waiter, Events interest) {
  wait(record_of(fd), waiter, interest);
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
  if (waiter.record_->trigger != Trigger::kEdge) {
    arm(*waiter.record_, interest_of(*waiter.record_));
  }
}

// --- handlers and owners --------------------------------------------------------------------------------

void FdTable::set_handlers(int fd, FdHandlers handlers) {
  FdRecord& record = record_of(fd);
  check(record.trigger != Trigger::kEdge,
        "a handler is set for a descriptor that a stream owns: use the stream, or a dup() of it");
  if (calling_ != 0 && record.handlers != nullptr) {
    replaced_.push_back(std::move(record.handlers));  // it may be the one that is running
  }
  const bool handled = handlers.read != nullptr || handlers.write != nullptr;
  record.handlers = handled ? std::make_unique<FdHandlers>(std::move(handlers)) : nullptr;
  record.pending = Events::kNone;
  // A new generation: what was reported to the old handlers is not for the new ones.
  renew(record, handled ? Trigger::kLevel : Trigger::kOneShot);
  arm(record, interest_of(record));
}

FdRecord& FdTable::own(int fd) {
  FdRecord& record = record_of(fd);
  check(record.trigger != Trigger::kEdge && record.waiters.empty() && record.handlers == nullptr,
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
}

// --- the watch ------------------------------------------------------------------------------------------

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
  if (record.handlers != nullptr && record.handlers->read != nullptr) {
    interest |= Events::kIn;
  }
  if (record.handlers != nullptr && record.handlers->write != nullptr) {
    interest |= Events::kOut;
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

bool FdTable::is_waited_for(const FdRecord& record, Events interest) {
  return any(waiting_interest(record) & interest);
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

// --- dispatch -------------------------------------------------------------------------------------------

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
    const Key key = reports_[next_report_++];
    if (next_report_ == reports_.size()) {
      reports_.clear();
      next_report_ = 0;
    }
    FdRecord& record = records_[key.slot];
    if (record.generation == key.generation) {
      // Taken before anybody is called, so that a nested turn does not dispatch it again.
      called |= dispatch(record, std::exchange(record.pending, Events::kNone));
    }
  }
  return called;
}

bool FdTable::dispatch(FdRecord& record, Events events) {
  if (record.trigger == Trigger::kEdge) {
    record.untried |= directions(events);
    record.sticky |= events & kSticky;
  }
  const std::uint32_t generation = record.generation;
  bool called = wake(record, events);
  if (record.generation == generation) {
    called |= call_handlers(record, events);
  }
  return called;
}

// Wakes the first waiter of each direction; of a level, the others get their turn with the next report,
// for what the first one leaves. An edge is not reported again, so it wakes them all.
bool FdTable::wake(FdRecord& record, Events events) {
  Events left = directions(events) | events;
  // Listed first, woken then: whoever is woken may end the waits of others, or begin new ones.
  IntrusiveList<FdWaiter> due;
  for (FdWaiter* waiter = record.waiters.front(); waiter != nullptr;) {
    FdWaiter* next = record.waiters.next(*waiter);
    const Events wanted = directions(waiter->interest_) | waiter->interest_;
    if (any(wanted & left)) {
      waiter->unlink();
      due.push_back(*waiter);
      left &= record.trigger == Trigger::kEdge ? left : ~wanted;
    }
    waiter = next;
  }
  if (record.trigger != Trigger::kEdge) {
    arm(record, interest_of(record));
  }
  bool called = false;
  while (FdWaiter* waiter = due.pop_front()) {
    called = true;
    waiter->wake_(*waiter, events);
  }
  return called;
}

bool FdTable::call_handlers(FdRecord& record, Events events) {
  if (record.handlers == nullptr) {
    return false;
  }
  const std::uint32_t generation = record.generation;
  const Events ready = directions(events);
  bool called = false;
  ++calling_;
  if (any(ready & Events::kIn) && record.handlers->read != nullptr) {
    called = true;
    record.handlers->read();
  }
  // The read handler may have removed both.
  if (any(ready & Events::kOut) && record.generation == generation &&
      record.handlers->write != nullptr) {
    called = true;
    record.handlers->write();
  }
  if (--calling_ == 0) {
    replaced_.clear();
  }
  return called;
}

}  // namespace coaio
