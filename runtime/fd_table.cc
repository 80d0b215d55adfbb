#include "runtime/fd_table.h"

#include <fcntl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/call_kind.h"

namespace coaio::internal {
namespace {

constexpr Events kBothDirections = Events::kIn | Events::kOut;

// Records of descriptors below this number are made unasked.
constexpr std::size_t kFirstRecords = 1024;

// Conditions that last while the descriptor is open.
constexpr Events kLasting = kFailure | Events::kReadHangUp | Events::kPriority;

// The directions in which an operation would get an answer: data, space, an error or an end of
// file.
Events directions(Events events) {
  if (any(events & kFailure)) {
    return kBothDirections;
  }
  Events result = events & kBothDirections;
  if (any(events & Events::kReadHangUp)) {
    result |= Events::kIn;
  }
  return result;
}

// The events that end a wait with this interest. Urgent data ends only a wait that asked for it: no
// read returns it, unless it is also kIn.
Events events_that_end(Events interest) {
  const Events events = any(interest & Events::kIn) ? interest | Events::kReadHangUp : interest;
  return events | kFailure;
}

// Anything but EBADF says that there is a file, or that a sandbox forbids the question.
bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1 || errno != EBADF; }

}  // namespace

// --- waiting ------------------------------------------------------------------------------------

void FdTable::wait(int fd, FdWaiter& waiter, Events interest) {
  FdRecord* record = find_or_add(fd);
  if (record == nullptr) {
    check(!waiter.waiting(), "one waiter waits for two descriptors");
    waiter.record_ = &not_open_;
    waiter.seen_ = Events::kInvalid;
    ++not_open_.due_;
    strays_.push_back(waiter);
    return;
  }
  // What a stream has seen reported and not used yet is not reported again.
  check(record->trigger_ != Trigger::kEdge,
        "a descriptor that a stream owns is waited for by its number: use the stream, or a dup() "
        "of it");
  wait(*record, waiter, interest);
}

void FdTable::wait(FdRecord& record, FdWaiter& waiter, Events interest) {
  check(!waiter.waiting(), "one waiter waits for two descriptors");
  waiter.record_ = &record;
  waiter.interest_ = interest;
  record.waiters_.push_back(waiter);
  if (record.trigger_ == Trigger::kEdge) {
    monitor_->want(record.key(), interest);
  } else {
    record.waiting_.add(interest);
    arm(record, interest_of(record));
  }
}

void FdTable::remove(FdWaiter& waiter) {
  if (!waiter.waiting()) {
    return;
  }
  FdRecord& record = *waiter.record_;
  if (waiter.due()) {
    take_off_due(waiter);
    return;
  }
  waiter.unlink();
  if (record.trigger_ == Trigger::kEdge) {
    return;
  }
  record.waiting_.remove(waiter.interest_);
  const Events left = interest_of(record);
  if (record.trigger_ == Trigger::kOneShot && !any(left)) {
    // The descriptor may be closed, and stand for another file, before the monitor hears of either.
    renew(record, Trigger::kOneShot);
  } else {
    arm(record, left);
  }
}

// --- owners -------------------------------------------------------------------------------------

FdRecord& FdTable::own(int fd) {
  FdRecord& record = record_of(fd);
  check(
      record.trigger_ != Trigger::kEdge && record.waiters_.empty() && record.handling_ == nullptr,
      "a descriptor gets an owner while others wait for it, or a second owner: has it been closed "
      "behind the back of the first?");
  renew(record, Trigger::kEdge);
  record.untried_ = kBothDirections;
  record.lasting_ = Events::kNone;
  arm(record, kBothDirections | Events::kReadHangUp | Events::kPriority);
  return record;
}

void FdTable::release(FdRecord& record) {
  renew(record, Trigger::kOneShot);
  record.waiting_ = {};
  while (FdWaiter* waiter = record.waiters_.pop_front()) {
    waiter->wake_(*waiter, Events::kNone);
  }
  // A waiter that is due would use a descriptor that may stand for another file by then.
  for (FdWaiter* waiter = due_.front(); record.due_ != 0 && waiter != nullptr;) {
    FdWaiter* next = due_.next(*waiter);
    if (waiter->record_ == &record) {
      take_off_due(*waiter);
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
  check(record.trigger_ != Trigger::kEdge,
        "release_fd() of a descriptor that a stream or listener owns: close that one instead");
  if (record.handling_ != nullptr) {
    set_handlers(fd, {});
  }
  release(record);
}

bool FdTable::is_waited_for(const FdRecord& record, Events interest) const {
  Events waited_for = Events::kNone;
  for (FdWaiter* waiter = record.waiters_.front(); waiter != nullptr;
       waiter = record.waiters_.next(*waiter)) {
    waited_for |= waiter->interest_;
  }
  std::uint32_t left = record.due_;
  for (FdWaiter* waiter = due_.front(); left != 0 && waiter != nullptr;
       waiter = due_.next(*waiter)) {
    if (waiter->record_ == &record) {
      waited_for |= waiter->interest_;
      --left;
    }
  }
  return any(waited_for & interest);
}

// --- the watch ----------------------------------------------------------------------------------

// Null if the descriptor is not open and has no record: any integer may come here, and a table for
// it must not be made.
FdRecord* FdTable::find_or_add(int fd) {
  check(fd >= 0, "a negative number is waited for: look at the result of the call that made it");
  const auto index = static_cast<std::size_t>(fd);
  if (index >= records_.size() && index >= kFirstRecords && !is_open(fd)) {
    return nullptr;
  }
  while (records_.size() <= index) {
    FdRecord& record = records_.emplace_back();
    record.fd_ = static_cast<int>(records_.size()) - 1;
  }
  return &records_[index];
}

FdRecord& FdTable::record_of(int fd) {
  FdRecord* record = find_or_add(fd);
  if (record == nullptr) {
    fail(absl::StrCat("descriptor ", fd, " gets a handler or an owner and is not open (EBADF): ",
                      "look at the result of the call that made it, and remove handlers before "
                      "close()")
             .c_str());
  }
  return *record;
}

Events FdTable::interest_of(const FdRecord& record) {
  if (record.trigger_ == Trigger::kEdge) {
    Events interest = Events::kNone;
    for (FdWaiter* waiter = record.waiters_.front(); waiter != nullptr;
         waiter = record.waiters_.next(*waiter)) {
      interest |= waiter->interest_;
    }
    return interest;
  }
  const Events waiting = record.waiting_.interest();
  return record.handling_ == nullptr ? waiting : waiting | interest_of(*record.handling_);
}

void FdTable::arm(FdRecord& record, Events interest) {
  if (record.live_ && record.interest_ == interest) {
    return;
  }
  if (!record.live_ && !any(interest)) {
    return;
  }
  watched_ += any(interest) ? 1 : 0;
  watched_ -= any(record.interest_) ? 1 : 0;
  record.interest_ = interest;
  record.live_ = true;
  changed_ = true;
  monitor_->arm(record.fd_, record.key(), interest, record.trigger_);
}

void FdTable::disarm(FdRecord& record) {
  if (record.live_) {
    watched_ -= any(record.interest_) ? 1 : 0;
    record.interest_ = Events::kNone;
    record.live_ = false;
    changed_ = true;
    monitor_->disarm(record.key());
  }
}

// Ends the watch, and with it every report that the monitor may still make; the next watch has this
// trigger.
void FdTable::renew(FdRecord& record, Trigger trigger) {
  disarm(record);
  ++record.generation_;
  record.trigger_ = trigger;
}

std::string FdTable::describe_users() const {
  std::string users;
  for (const FdRecord& record : records_) {
    if (record.trigger_ == Trigger::kEdge) {
      absl::StrAppend(&users, " the owner of descriptor ", record.fd_, ";");
    } else if (!record.waiters_.empty()) {
      absl::StrAppend(&users, " who waits for descriptor ", record.fd_, ";");
    }
  }
  return users;
}

void FdTable::move_to(FdMonitor& monitor) {
  monitor_ = &monitor;
  for (FdRecord& record : records_) {
    if (!record.live_) {
      continue;
    }
    monitor.arm(record.fd_, record.key(), record.interest_, record.trigger_);
    if (record.trigger_ == Trigger::kEdge && any(interest_of(record))) {
      monitor.want(record.key(), interest_of(record));
    }
  }
}

// --- reports ------------------------------------------------------------------------------------

void FdTable::report(Key key, Events events) {
  FdRecord* record = key.slot < records_.size() ? &records_[key.slot] : nullptr;
  if (record == nullptr || record->generation_ != key.generation || !record->live_) {
    return;
  }
  switch (record->trigger_) {
    case Trigger::kOneShot:
      watched_ -= any(record->interest_) ? 1 : 0;
      record->interest_ = Events::kNone;  // the report has ended it
      break;
    case Trigger::kEdge:
      record->untried_ |= directions(events);
      record->lasting_ |= events & kLasting;
      break;
    case Trigger::kLevel:
      break;
  }
  list_due_waiters(*record, events);
  if (record->handling_ != nullptr) {
    list_due_handlers(*record, events);
  }
}

// A level wakes the first waiter of each direction: the others get their turn with the next report,
// for what the first one leaves. An edge is not reported again, and a failure lasts: they end all
// waits.
void FdTable::list_due_waiters(FdRecord& record, Events events) {
  const bool edge = record.trigger_ == Trigger::kEdge;
  Events left = events;
  for (FdWaiter* waiter = record.waiters_.front(); waiter != nullptr && any(left);) {
    FdWaiter* next = record.waiters_.next(*waiter);
    const Events ends = events_that_end(waiter->interest_);
    if (any(ends & left)) {
      waiter->unlink();
      make_due(*waiter, events);
      if (!edge) {
        record.waiting_.remove(waiter->interest_);
        left &= ~ends | kFailure;
      }
    }
    waiter = next;
  }
  if (!edge) {
    arm(record, interest_of(record));
  }
}

void FdTable::make_due(FdWaiter& waiter, Events events) {
  waiter.seen_ = events;
  ++waiter.record_->due_;
  due_.push_back(waiter);
}

void FdTable::take_off_due(FdWaiter& waiter) {
  waiter.unlink();
  waiter.seen_ = Events::kNone;
  --waiter.record_->due_;
}

// --- dispatch -----------------------------------------------------------------------------------

// One at a time: a waiter or handler that is called may end the waits of others, begin new ones, or
// nest a turn, which then calls the rest.
bool FdTable::dispatch() {
  bool called = false;
  due_.append(strays_);
  while (FdWaiter* waiter = due_.front()) {
    const Events events = waiter->seen_;
    take_off_due(*waiter);
    if (waiter->wake_ != nullptr) {
      called = true;
      const Activity::Doing doing(
          activity_, {.kind = CallKind::kTaskAfterFd, .name = nullptr, .fd = waiter->record_->fd_});
      waiter->wake_(*waiter, events);
    } else {
      called |= call_handlers(static_cast<FdHandling&>(*waiter), events);
    }
  }
  return called;
}

}  // namespace coaio::internal
