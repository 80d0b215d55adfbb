#include "coro/io/try_operation.h"

#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "backends/events.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/call_kind.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"
#include "runtime/watched_fd.h"

namespace coaio::internal {
namespace {

Context& home_of(const WatchedFd& fd) {
  check(fd.has_context(), "an operation is begun on a stream or listener that was moved from");
  return fd.context();
}

[[noreturn]] void fail_two_tasks(int fd, Events direction) {
  fail(absl::StrCat("two tasks ", any(direction & Events::kIn) ? "read (or accept)" : "write",
                    " on descriptor ", fd,
                    " at the same time: let one task do it, and pass on what it got, or let the "
                    "second task begin when the first operation has ended")
           .c_str());
}

}  // namespace

TryOperation::TryOperation(const WatchedFd& fd, Events direction, Attempt attempt)
    : FdWaiter(&TryOperation::wake),
      RunNode(&TryOperation::retry_after_yield, CallKind::kTask),
      home_(&home_of(fd)),
      record_(fd.is_open() ? &fd.record() : nullptr),
      generation_(record_ == nullptr ? 0 : record_->generation()),
      direction_(direction),
      attempt_(attempt) {}

TryOperation::~TryOperation() {
  if (!home_->was_forked()) {
    leave_lists();
  }
}

bool TryOperation::suspend(PromiseBase& task) {
  check(home_ == &task.context(),
        "a socket is used on another context than its own: resume_on its context first");
  const bool current = is_current();
  if (current && ContextAccess(*home_).fds().is_waited_for(*record_, direction_)) [[unlikely]] {
    fail_two_tasks(record_->fd(), direction_);
  }
  if (!start(task)) {
    return complete_at_once();
  }
  if (!current) [[unlikely]] {
    complete_cancelled();
    return true;
  }
  if (record_->is_exhausted(direction_)) {
    ContextAccess(*home_).fds().wait(*record_, *this, direction_);
    return true;
  }
  return try_or_wait() ? complete_at_once() : true;
}

// Returns whether the operation has its result.
bool TryOperation::try_or_wait() {
  const Outcome outcome = attempt_(*this);
  if (outcome == Outcome::kDone) {
    return true;
  }
  if (outcome == Outcome::kWouldBlock) {
    record_->mark_exhausted(direction_);
  } else {
    ContextAccess(*home_).schedule(*this);
  }
  ContextAccess(*home_).fds().wait(*record_, *this, direction_);
  return false;
}

// After a wait or a yield. One event may wake several tasks, and the first of them may have closed
// the socket: the same descriptor may be another file by now.
void TryOperation::retry() {
  leave_lists();
  if (!is_current()) {
    complete_cancelled();
  } else if (try_or_wait()) {
    complete();
  }
}

void TryOperation::wake(FdWaiter& waiter, Events events) {
  auto& self = static_cast<TryOperation&>(waiter);
  if (any(events)) {
    self.retry();
  } else {  // the socket is being closed
    self.leave_lists();
    self.complete_cancelled();
  }
}

void TryOperation::retry_after_yield(RunNode& node) { static_cast<TryOperation&>(node).retry(); }

void TryOperation::withdraw() {
  leave_lists();
  complete_cancelled();
}

void TryOperation::leave_lists() {
  if (waiting()) {
    ContextAccess(*home_).fds().remove(*this);
  }
  if (queued()) {
    ContextAccess(*home_).cancel(*this);
  }
}

}  // namespace coaio::internal
