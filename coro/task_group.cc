#include "coro/task_group.h"

#include <chrono>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/task.h"
#include "coro/yield.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"

namespace coaio {

TaskGroup::TaskGroup(const TaskEnv& here)
    : CancelNode(&TaskGroup::pass_on),
      source_(here.context),
      owner_of_void_(*this),
      owner_of_status_(*this),
      deadline_(*this) {
  if (here.token.cancel_requested()) {
    pass_on(*this);
  } else if (here.token.source() != nullptr) {
    here.token.source()->add(*this);
  }
}

TaskGroup::~TaskGroup() {
  check(size_ == 0, "a task group ends before its tasks: co_await join()");
  check(!listed() || context().is_home(),
        "a task group ends on another context than its own: resume_on the one where it was made");
  ContextAccess(context()).cancel(deadline_);
}

void TaskGroup::pass_on(CancelNode& node) {
  auto& group = static_cast<TaskGroup&>(node);
  group.owner_cancelled_ = true;
  group.cancel();
}

void TaskGroup::spawn(Task<void> task) { start(std::move(task), owner_of_void_); }
void TaskGroup::spawn(Task<absl::Status> task) { start(std::move(task), owner_of_status_); }

template <typename T>
void TaskGroup::start(Task<T> task, Owner<T>& owner) {
  const std::coroutine_handle<TaskPromise<T>> handle = std::move(task).release();
  ++size_;
  handle.promise().start(owner, source_.token());
}

void TaskGroup::cancel_after(std::chrono::nanoseconds delay) {
  if (size_ != 0) {
    ContextAccess(context()).arm(deadline_, saturating_add(context().now(), delay));
  }
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

// That a child was cancelled is not the cause of anything, and gives way to it.
bool TaskGroup::failed() const {
  return first_exception_ != nullptr || !(first_failure_.ok() || absl::IsCancelled(first_failure_));
}

void TaskGroup::fail(absl::Status status) {
  if (status.ok() || failed()) {
    return;
  }
  // Our own doing.
  if (absl::IsCancelled(status) && source_.cancel_requested() && !owner_cancelled_) {
    return;
  }
  first_failure_ = std::move(status);
  cancel();
}

void TaskGroup::fail(std::exception_ptr exception) {
  if (!failed()) {
    first_exception_ = std::move(exception);
  }
  cancel();
}

void TaskGroup::child_ended() {
  if (--size_ != 0) {
    return;
  }
  ContextAccess(context()).cancel(deadline_);
  if (PromiseBase* joiner = std::exchange(joiner_, nullptr)) {
    joiner->resume();  // may destroy the group
  }
}

void TaskGroup::suspend(PromiseBase& joiner) {
  check(joiner_ == nullptr, "two tasks join one group");
  check(&joiner.context() == &context(), "a group is joined on another context than its own");
  joiner_ = &joiner;
}

absl::Status TaskGroup::take_result() {
  absl::Status failure = std::exchange(first_failure_, absl::OkStatus());
  if (first_exception_ != nullptr) {
    std::rethrow_exception(std::exchange(first_exception_, nullptr));
  }
  return failure;
}

}  // namespace coaio
