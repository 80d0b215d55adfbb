#include "coro/completion.h"

#include <atomic>
#include <utility>

#include "backends/check.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/run_queue.h"

namespace coaio::internal {

CompletionBase::~CompletionBase() {
  check(waiter_ == nullptr || context_.was_forked(),
        "a completion ends while a task waits for it: keep it longer than the wait");
  // A result that has not arrived may be on its way. Relaxed: the call that set it is over.
  if (!arrived_ && claimed_.load(std::memory_order_relaxed)) {
    ContextAccess(context_).cancel(*this);
  }
}

void CompletionBase::publish() { ContextAccess(context_).schedule(*this); }
void CompletionBase::publish_from_signal() { ContextAccess(context_).schedule_from_signal(*this); }

void CompletionBase::deliver(RunNode& node) { static_cast<CompletionBase&>(node).arrive(); }

void CompletionBase::arrive() {
  arrived_ = true;
  if (WaitBase* waiter = std::exchange(waiter_, nullptr)) {
    waiter->complete();  // may destroy the completion
  }
}

CompletionBase::WaitBase::~WaitBase() {
  if (completion_.waiter_ == this) {
    completion_.waiter_ = nullptr;
  }
}

bool CompletionBase::WaitBase::suspend(PromiseBase& task) {
  check(&task.context() == &completion_.context_,
        "a completion is awaited on another context than its own: resume_on its context first");
  check(completion_.waiter_ == nullptr,
        "two tasks await one completion: make one for each of them");
  const bool may_wait = start(task) || shielded_;
  if (completion_.arrived_ || !may_wait) {
    return complete_at_once();
  }
  completion_.waiter_ = this;
  return true;
}

void CompletionBase::WaitBase::withdraw() {
  if (!shielded_) {
    completion_.waiter_ = nullptr;
    complete_cancelled();
  }
}

}  // namespace coaio::internal
