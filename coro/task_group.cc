#include "coro/task_group.h"

#include <coroutine>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/resume_on.h"
#include "coro/task.h"
#include "coro/this_task.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"

namespace coaio {

using namespace internal;

TaskGroup::TaskGroup(const TaskEnv& here)
    : CancelNode(&TaskGroup::pass_on),
      source_(here.context),
      owner_of_void_(*this),
      owner_of_status_(*this),
      deadline_(*this),
      upstream_(here.token.source()) {
  check(here.token.source() == nullptr || &here.token.source()->context() == &here.context,
        "a task group has the token of a cancel source of another context: make it from co_await "
        "this_task()");
  check_home();
  if (upstream_ == nullptr) {
    return;
  }
  source_.set_deadline(upstream_->deadline());
  if (upstream_->cancel_requested()) {
    pass_on(*this);
  } else {
    upstream_->add(*this);
  }
}

TaskGroup::~TaskGroup() {
  if (context().was_forked()) {  // the children are the parent's: their frames stay as they are
    ContextAccess(context()).cancel(deadline_);
    return;
  }
  check(size_ == 0,
        "a task group is destroyed before its tasks have ended: co_await join() on every way out, "
        "also where an "
        "exception or a co_return leaves between spawn() and join()");
  check(!listed() || context().is_home(),
        "a task group is destroyed on another context than its own: resume_on its context first");
  ContextAccess(context()).cancel(deadline_);
  tell_failure();
}

void TaskGroup::pass_on(CancelNode& node) {
  auto& group = static_cast<TaskGroup&>(node);
  group.pass_on_cause(group.upstream_->cause());
}

void TaskGroup::pass_on_cause(CancelCause cause) {
  owner_cancelled_ = true;
  source_.request(cause);
}

void TaskGroup::spawn(Task<void> task) { start(std::move(task), owner_of_void_); }
void TaskGroup::spawn(Task<absl::Status> task) { start(std::move(task), owner_of_status_); }

template <typename T>
void TaskGroup::start(Task<T> task, Owner<T>& owner) {
  check_home();
  const std::coroutine_handle<TaskPromise<T>> handle = std::move(task).release();
  ++size_;
  handle.promise().start(owner, source_.token());
}

void TaskGroup::cancel_after(Duration delay) {
  lift_deadline();
  deadline_.cause = CancelCause::kCancelled;
  ContextAccess(context()).arm(deadline_, saturating_add(context().now(), delay));
}

void TaskGroup::set_deadline(TimePoint deadline) {
  check_home();
  lift_deadline();
  if (deadline >= source_.deadline()) {  // the owner's comes first
    return;
  }
  source_.set_deadline(deadline);
  deadline_.cause = CancelCause::kDeadline;
  if (deadline <= context().now()) {
    end_children(CancelCause::kDeadline);
  } else {
    ContextAccess(context()).arm(deadline_, deadline);
  }
}

void TaskGroup::set_timeout(Duration delay) {
  set_deadline(saturating_add(context().now(), delay));
}

void TaskGroup::Deadline::fire(TimerNode& timer) {
  auto& deadline = static_cast<Deadline&>(timer);
  if (deadline.cause == CancelCause::kDeadline) {
    deadline.group.end_children(CancelCause::kDeadline);
  } else {
    deadline.group.cancel();
  }
}

// Also one that has passed, for the children that are spawned next.
void TaskGroup::lift_deadline() {
  ContextAccess(context()).cancel(deadline_);
  source_.set_deadline(upstream_ == nullptr ? TimePoint::max() : upstream_->deadline());
  if (size_ == 0 && !owner_cancelled_ && source_.cause() == CancelCause::kDeadline) {
    take_request_back();
  }
}

// Takes back a request of this thread only. If cancel() on another thread has made the request, it
// may not have queued the source yet, and the source could end while it is queued. A cancel() that
// came after our request has only set cancelled_, so its request is made here.
void TaskGroup::take_request_back() {
  if (!std::exchange(requested_here_, false)) {
    return;
  }
  source_.renew();
  // Sequentially consistent, as the store in cancel() and the accesses in request() and renew().
  if (cancelled_.load(std::memory_order_seq_cst)) {
    source_.request_cancel();
  }
}

void TaskGroup::check_home() const {
  check(context().may_act(),
        "a task group is used on another thread than its context's: post() the call there");
}

// --- ends ---------------------------------------------------------------------------------------

template <typename T>
void TaskGroup::Owner<T>::ended(TaskOwner& owner, PromiseBase& child) {
  TaskGroup& group = static_cast<Owner&>(owner).group;
  auto& promise = static_cast<TaskPromise<T>&>(child);
  if (std::exception_ptr exception = promise.exception()) {
    group.fail(std::move(exception));
  } else if constexpr (!std::is_void_v<T>) {
    group.fail(promise.take_result());
  }
  promise.self().destroy();
  group.child_ended();
}

// A child's kCancelled is not the cause of a failure: a later failure replaces it.
bool TaskGroup::failed() const {
  return first_exception_ != nullptr || !(first_failure_.ok() || absl::IsCancelled(first_failure_));
}

void TaskGroup::fail(absl::Status status) {
  if (status.ok() || failed()) {
    return;
  }
  // cancel() was called, or another child has failed.
  if (absl::IsCancelled(status) && source_.cancel_requested() && !owner_cancelled_) {
    return;
  }
  first_failure_ = std::move(status);
  end_children(CancelCause::kCancelled);
}

void TaskGroup::fail(std::exception_ptr exception) {
  if (!failed()) {
    first_exception_ = std::move(exception);
  }
  end_children(CancelCause::kCancelled);
}

// A failure that no join() reports would be lost: an operator should know at least.
void TaskGroup::tell_failure() {
  if (!failed()) {
    return;
  }
  const std::string failure = first_exception_ != nullptr
                                  ? "an exception"
                                  : absl::Utf8SafeCHexEscape(first_failure_.ToString());
  context().tell_sink(
      absl::StrCat("a task group was destroyed with a failure of one of its tasks that no join() "
                   "has reported: ",
                   failure));
}

void TaskGroup::child_ended() {
  if (--size_ != 0) {
    return;
  }
  if (PromiseBase* joiner = std::exchange(joiner_, nullptr)) {
    joiner->resume();  // may destroy the group
  }
}

// A request for cancellation that reached the joiner on another context has not reached the group.
void TaskGroup::suspend(PromiseBase& joiner) {
  check(joiner_ == nullptr, "two tasks join one group: let one of them join it");
  check(&joiner.context() == &context(),
        "a task group is joined on another context than its own: resume_on its context first");
  joiner_ = &joiner;
  if (joiner.cancel_requested() && !owner_cancelled_) {
    pass_on_cause(joiner.cancel_cause());
  }
}

// A join() in with_timeout() has a source of its own.
void TaskGroup::Join::suspend(PromiseBase& joiner) {
  group_.suspend(joiner);
  source_ = joiner.token().source();
  if (source_ != nullptr && source_ != group_.upstream_ && !source_->cancel_requested()) {
    source_->add(*this);
  }
}

void TaskGroup::Join::pass_on(CancelNode& node) {
  auto& self = static_cast<Join&>(node);
  self.group_.pass_on_cause(self.source_->cause());
}

absl::Status TaskGroup::take_result() {
  ContextAccess(context()).cancel(deadline_);
  if (!owner_cancelled_ && source_.cause() != CancelCause::kDeadline) {
    lift_deadline();
    take_request_back();
  }
  absl::Status failure = std::exchange(first_failure_, absl::OkStatus());
  if (first_exception_ != nullptr) {
    std::rethrow_exception(std::exchange(first_exception_, nullptr));
  }
  return failure;
}

}  // namespace coaio
