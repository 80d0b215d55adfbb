#include "coro/readiness.h"

#include <cerrno>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"

namespace coaio {

using namespace internal;

Readiness::~Readiness() {
  if (waiting() && !context().was_forked()) {
    ContextAccess(context()).fds().remove(*this);
    ContextAccess(context()).settle();
  }
}

bool Readiness::suspend(PromiseBase& task) {
  if (!start(task)) {
    return complete_at_once();
  }
  ContextAccess(context()).fds().wait(fd_, *this, interest_);
  return true;
}

void Readiness::wake(FdWaiter& waiter, Events events) {
  auto& self = static_cast<Readiness&>(waiter);
  self.seen_ = events;
  if (any(events)) {
    self.complete();
  } else {
    self.complete_cancelled();  // release_fd() was called
  }
}

void Readiness::withdraw() {
  ContextAccess(context()).fds().remove(*this);
  complete_cancelled();
}

absl::StatusOr<Events> Readiness::await_resume() const {
  if (was_cancelled()) {
    // The first of several cancelled waits settles for all of them.
    ContextAccess(Context::current()).settle();
    return cancelled();
  }
  if (any(seen_ & Events::kInvalid)) {
    return errno_status(EBADF, absl::StrCat("waiting for descriptor ", fd_));
  }
  return seen_;
}

}  // namespace coaio
