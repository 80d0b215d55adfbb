#include "coro/io/try_operation.h"

#include "backends/check.h"
#include "backends/events.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"
#include "runtime/watched_fd.h"

namespace coaio {
namespace {

Context& home_of(const WatchedFd& fd) {
  check(fd.is_open(), "an operation on a socket that was moved from or closed");
  return fd.context();
}

}  // namespace

TryOperation::TryOperation(const WatchedFd& fd, Events direction, Attempt attempt)
    : FdWaiter(&TryOperation::wake),
      RunNode(&TryOperation::go_on),
      home_(&home_of(fd)),
      record_(&fd.record()),
      generation_(record_->generation),
      direction_(direction),
      attempt_(attempt) {}

TryOperation::~TryOperation() { let_go(); }

bool TryOperation::suspend(PromiseBase& task) {
  check(is_current(), "an operation on a socket that was closed before it was awaited");
  check(home_ == &task.context(),
        "a socket is used on another context than its own: resume_on its context first");
  check(!ContextAccess(*home_).fds().is_waited_for(*record_, direction_),
        "two tasks read one socket, or two write it, at the same time");
  if (!start(task)) {
    return complete_at_once();
  }
  if (!any(record_->untried & direction_)) {
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
    record_->untried &= ~direction_;
  } else {
    ContextAccess(*home_).schedule(*this);
  }
  ContextAccess(*home_).fds().wait(*record_, *this, direction_);
  return false;
}

// After a wait or a pause. One event wakes several tasks, and an earlier one may have closed the
// socket: its number may belong to another one by now.
void TryOperation::retry() {
  let_go();
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
    self.let_go();
    self.complete_cancelled();
  }
}

void TryOperation::go_on(RunNode& node) { static_cast<TryOperation&>(node).retry(); }

void TryOperation::withdraw() {
  let_go();
  complete_cancelled();
}

void TryOperation::let_go() {
  if (waiting()) {
    ContextAccess(*home_).fds().remove(*this);
  }
  if (queued()) {
    ContextAccess(*home_).cancel(*this);
  }
}

}  // namespace coaio
