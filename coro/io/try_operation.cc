#include "coro/io/try_operation.h"

#include "backends/check.h"
#include "backends/events.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
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
    : Operation(&TryOperation::withdraw),
      FdWaiter(&TryOperation::wake),
      home_(&home_of(fd)),
      record_(&fd.record()),
      generation_(record_->generation),
      direction_(direction),
      attempt_(attempt) {}

TryOperation::~TryOperation() {
  if (waiting()) {
    home_->fds().remove(*this);
  }
}

bool TryOperation::suspend(PromiseBase& task) {
  check(is_current(), "an operation on a socket that was closed before it was awaited");
  check(home_ == &task.context(),
        "a socket is used on another context than its own: resume_on its context first");
  check(!home_->fds().is_waited_for(*record_, direction_),
        "two tasks read one socket, or two write it, at the same time");
  if (!start(task) || (any(record_->untried & direction_) && attempt_(*this))) {
    return complete_at_once();
  }
  wait();
  return true;
}

void TryOperation::wait() {
  record_->untried &= ~direction_;
  home_->fds().wait(*record_, *this, direction_);
}

void TryOperation::wake(FdWaiter& waiter, Events events) {
  auto& self = static_cast<TryOperation&>(waiter);
  // The socket is being closed; or one event wakes several tasks, and an earlier one has closed it:
  // its number may belong to another socket by now.
  if (!any(events) || !self.is_current()) {
    self.complete_cancelled();
  } else if (self.attempt_(self)) {
    self.complete();
  } else {
    self.wait();
  }
}

void TryOperation::withdraw(CancelNode& node) {
  auto& self = static_cast<TryOperation&>(static_cast<Operation&>(node));
  self.home_->fds().remove(self);
  self.complete_cancelled();
}

}  // namespace coaio
