#include "coro/io/try_operation.h"

#include "backends/check.h"
#include "backends/events.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/fd_table.h"
#include "runtime/watched_fd.h"

namespace coaio {

TryOperation::TryOperation(const WatchedFd& fd, Events direction, Attempt attempt)
    : Operation(&TryOperation::withdraw),
      FdWaiter(&TryOperation::wake),
      home_(&fd.context()),
      record_(&fd.record()),
      direction_(direction),
      attempt_(attempt) {
  check(fd.is_open(), "an operation on a socket that was moved from or closed");
}

TryOperation::~TryOperation() {
  if (waiting()) {
    home_->fds().remove(*this);
  }
}

bool TryOperation::suspend(PromiseBase& task) {
  check(home_ == &task.context(),
        "a socket is used on another context than its own: resume_on its context first");
  check(!FdTable::is_waited_for(*record_, direction_),
        "two tasks read one socket, or two write it, at the same time");
  if (!start(task)) {
    return false;
  }
  if (!any(record_->untried & direction_) || !attempt_(*this)) {
    wait();
    return true;
  }
  if (home_->may_go_on()) {
    complete_at_once();
    return false;
  }
  complete_soon();
  return true;
}

void TryOperation::wait() {
  record_->untried &= ~direction_;
  home_->fds().wait(*record_, *this, direction_);
}

void TryOperation::wake(FdWaiter& waiter, Events events) {
  auto& self = static_cast<TryOperation&>(waiter);
  if (!any(events)) {
    self.complete_cancelled();  // the socket is being closed
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
