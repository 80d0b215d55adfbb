// The part of FdTable that sets and calls handlers.

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/call_kind.h"
#include "runtime/fd_handlers.h"
#include "runtime/fd_table.h"

namespace coaio::internal {

// A call of handlers that is under way, on the stack of its thread.
struct FdTable::HandlerCall {
  FdHandling* handling;
  int fd;
  HandlerCall* outer;
  std::unique_ptr<FdHandling> replaced = nullptr;          // `handling`, once it was replaced
  std::vector<absl::AnyInvocable<void()>> at_return = {};  // of remove_handlers()
};

// --- set and removed ----------------------------------------------------------------------------

void FdTable::set_handlers(int fd, FdHandlers handlers) {
  const bool handled = handlers.read != nullptr || handlers.write != nullptr;
  if (!handled && find_or_add(fd) == nullptr) {
    return;
  }
  FdRecord& record = record_of(fd);
  check(record.trigger_ != Trigger::kEdge,
        "a handler is set for a descriptor that a stream owns: use the stream, or a dup() of it");
  // Destroyed at the end of this function, for its destructor may call this function.
  std::unique_ptr<FdHandling> replaced = std::move(record.handling_);
  if (replaced != nullptr) {
    // What was reported to the old handlers is not for the new ones.
    if (replaced->waiting()) {
      take_off_due(*replaced);
    }
    replaced->held_back.unlink();
    if (replaced->running) {
      keep_while_running(std::move(replaced));
    }
  }
  if (handled) {
    record.handling_ = std::make_unique<FdHandling>(std::move(handlers));
    record.handling_->record_ = &record;
  }
  renew(record, handled ? Trigger::kLevel : Trigger::kOneShot);
  arm(record, interest_of(record));
}

void FdTable::keep_while_running(std::unique_ptr<FdHandling> handling) {
  for (HandlerCall* call = calls_; call != nullptr; call = call->outer) {
    if (call->handling == handling.get()) {
      call->replaced = std::move(handling);
      return;
    }
  }
}

void FdTable::remove_handlers(int fd, absl::AnyInvocable<void()> gone) {
  set_handlers(fd, {});
  HandlerCall* outermost = nullptr;
  for (HandlerCall* call = calls_; call != nullptr; call = call->outer) {
    outermost = call->fd == fd ? call : outermost;
  }
  if (outermost == nullptr) {
    gone();
  } else {
    outermost->at_return.push_back(std::move(gone));
  }
}

bool FdTable::discard_handlers() {
  bool any_left = false;
  // By index, for the destructor of a handler may add records.
  for (std::size_t fd = 0; fd < records_.size(); ++fd) {
    if (records_[fd].handling_ != nullptr) {
      any_left = true;
      set_handlers(static_cast<int>(fd), {});
    }
  }
  return any_left;
}

// --- called -------------------------------------------------------------------------------------

Events FdTable::interest_of(const FdHandling& handling) {
  if (handling.suspended) {
    return Events::kNone;
  }
  return (handling.handlers.read != nullptr ? Events::kIn : Events::kNone) |
         (handling.handlers.write != nullptr ? Events::kOut : Events::kNone);
}

// Events that only waiters asked for do not concern the handlers. Handlers are listed once, however
// often they are reported before their call.
void FdTable::list_due_handlers(FdRecord& record, Events events) {
  FdHandling& handling = *record.handling_;
  const Events concerns = events & (interest_of(handling) | kFailure);
  if (!any(concerns) || handling.suspended) {
    return;
  }
  if (handling.waiting()) {
    handling.seen_ |= concerns;
  } else {
    make_due(handling, concerns);
  }
}

bool FdTable::call_handlers(FdHandling& handling, Events events) {
  if (handling.running || is_held_back(handling)) {
    suspend(handling);
    return false;
  }
  HandlerCall call{.handling = &handling, .fd = handling.record_->fd_, .outer = calls_};
  calls_ = &call;
  handling.running = true;
  const bool failed = any(events & kFailure);
  bool called = false;
  {
    const Activity::Doing doing(
        activity_, {.kind = CallKind::kHandler, .name = handling.handlers.name, .fd = call.fd});
    if (handling.handlers.read != nullptr && (failed || any(events & Events::kIn))) {
      called = true;
      handling.handlers.read();
    }
    // The read handler may have replaced both, and may have disabled them.
    if (handling.handlers.write != nullptr && (failed || any(events & Events::kOut)) &&
        call.replaced == nullptr && !is_held_back(handling)) {
      called = true;
      handling.handlers.write();
    }
  }
  handling.running = false;
  calls_ = call.outer;
  if (call.replaced == nullptr && handling.suspended) {
    resume(handling);
  }
  call.replaced.reset();  // its destructor may replace others
  for (absl::AnyInvocable<void()>& tell : call.at_return) {
    tell();
  }
  return called;
}

// --- held back ----------------------------------------------------------------------------------

bool FdTable::is_held_back(const FdHandling& handling) const {
  return handling.handlers.external && external_disabled_ != 0;
}

// The report is dropped: once the handler is resumed, the kernel repeats what still holds.
void FdTable::suspend(FdHandling& handling) {
  handling.suspended = true;
  suspended_handlers_ = true;
  if (is_held_back(handling)) {
    hold_back(handling);
  }
  arm(*handling.record_, interest_of(*handling.record_));
}

// Does nothing for a handler that is still running or held back: the end of either resumes it.
void FdTable::resume(FdHandling& handling) {
  if (is_held_back(handling)) {
    hold_back(handling);
  } else if (handling.suspended && !handling.running) {
    handling.suspended = false;
    arm(*handling.record_, interest_of(*handling.record_));
  }
}

void FdTable::hold_back(FdHandling& handling) {
  if (!handling.held_back.linked()) {
    held_back_.push_back(handling.held_back);
  }
}

void FdTable::enable_external() {
  check(external_disabled_ != 0, "enable_external() without a disable_external()");
  if (--external_disabled_ != 0) {
    return;
  }
  while (FdHandling::HeldBack* held_back = held_back_.pop_front()) {
    resume(held_back->handling);
  }
}

}  // namespace coaio::internal
