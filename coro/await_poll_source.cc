#include "coro/await_poll_source.h"

#include <utility>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/context_access.h"

namespace coaio {

using namespace internal;

AwaitablePollSource::~AwaitablePollSource() {
  check(waiter_ == nullptr || waiter_->context().was_forked(),
        "a poll source is destroyed while a task waits for it: end the task before");
}

// No task waits any more if it was cancelled after the source was found ready. The source stays
// ready, and the next wait ends at once.
void AwaitablePollSource::on_ready() {
  if (Wait* waiter = std::exchange(waiter_, nullptr); waiter != nullptr) {
    waiter->complete();
  }
}

bool AwaitablePollSource::Wait::suspend(PromiseBase& task) {
  check(source_.waiter_ == nullptr, "two tasks wait for one poll source: let one of them serve it");
  if (!start(task)) {
    return complete_at_once();
  }
  check(ContextAccess(context()).has(source_),
        "a task waits for a poll source that is not added to its home context: add() it before");
  if (source_.ready()) {
    return complete_at_once();
  }
  source_.waiter_ = this;
  return true;
}

void AwaitablePollSource::Wait::leave() {
  if (source_.waiter_ == this) {
    source_.waiter_ = nullptr;
  }
}

void AwaitablePollSource::Wait::withdraw() {
  leave();
  complete_cancelled();
}

absl::Status AwaitablePollSource::Wait::await_resume() const {
  return was_cancelled() ? cancelled() : absl::OkStatus();
}

}  // namespace coaio
