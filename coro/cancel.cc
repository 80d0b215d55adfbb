#include "coro/cancel.h"

#include <atomic>

#include "backends/check.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/run_queue.h"

namespace coaio {

using namespace internal;

CancelSource::~CancelSource() {
  check(nodes_.empty() || context_.was_forked(),
        "a cancel source is destroyed before the operations and groups that it cancels: keep it "
        "longer than its tasks, and join a group before its task moves to another context");
  while (nodes_.pop_front() != nullptr) {  // in a forked child: the nodes must not refer to it
  }
  if (cancel_requested()) {
    ContextAccess(context_).cancel(*this);  // the delivery may be under way
  }
}

void CancelSource::request_cancel() {
  // Release: pairs with the acquire in cancel_requested().
  if (!requested_.exchange(true, std::memory_order_release) && !context_.was_forked()) {
    ContextAccess(context_).schedule(*this);
  }
}

void CancelSource::renew() {
  check(nodes_.empty(), "a cancel source is renewed while operations are listed in it");
  if (cancel_requested()) {
    ContextAccess(context_).cancel(*this);
    requested_.store(false, std::memory_order_relaxed);  // as in the beginning: nothing to publish
  }
}

// One at a time from the front: a callback may complete other operations of this source.
void CancelSource::deliver(RunNode& node) {
  auto& self = static_cast<CancelSource&>(node);
  while (CancelNode* operation = self.nodes_.pop_front()) {
    operation->cancel_(*operation);
  }
}

}  // namespace coaio
