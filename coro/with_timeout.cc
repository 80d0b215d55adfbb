#include "coro/with_timeout.h"

#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"

namespace coaio::internal {
namespace {

void check_not_moved(const PromiseBase& task, const Context& home) {
  check(&task.context() == &home,
        "an awaitable in with_timeout(), with_deadline() or shielded() moves its task to another "
        "context: give them a Task, which may move");
}

}  // namespace

DeadlineScope::DeadlineScope(PromiseBase& task, TimePoint deadline)
    : CancelNode(&DeadlineScope::pass_on),
      TimerNode(&DeadlineScope::fire),
      task_(task),
      outer_(task.exchange_source(&source_)),
      source_(task.context()) {
  if (outer_ != nullptr) {
    source_.inherit(*outer_);
    if (source_.cancel_requested()) {
      return;
    }
    outer_->add(*this);
  }
  if (deadline >= source_.deadline()) {
    return;  // the timer of the outer source does it
  }
  source_.set_deadline(deadline);
  if (deadline <= task.context().now()) {
    source_.request(CancelCause::kDeadline);
  } else {
    ContextAccess(task.context()).arm(*this, deadline);
  }
}

ShieldScope::~ShieldScope() {
  check_not_moved(task_, context_);
  task_.exchange_source(outer_);
}

DeadlineScope::~DeadlineScope() {
  check_not_moved(task_, source_.context());
  task_.exchange_source(outer_);
  ContextAccess(source_.context()).cancel(static_cast<TimerNode&>(*this));
}

void DeadlineScope::pass_on(CancelNode& node) {
  auto& self = static_cast<DeadlineScope&>(node);
  self.source_.request(self.outer_->cause());
}

void DeadlineScope::fire(TimerNode& node) {
  static_cast<DeadlineScope&>(node).source_.request(CancelCause::kDeadline);
}

}  // namespace coaio::internal
