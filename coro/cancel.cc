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

bool CancelSource::request(CancelCause cause) {
  CancelCause none = CancelCause::kNone;
  // Release: pairs with the acquire in cause(). Sequentially consistent: pairs with renew(). If the
  // request is not the first one, it has no effect after a renew(). TaskGroup::cancel() therefore
  // sets a flag before its request, and the group reads the flag after renew().
  if (!cause_.compare_exchange_strong(none, cause, std::memory_order_seq_cst,
                                      std::memory_order_seq_cst)) {
    return false;
  }
  if (!context_.was_forked()) {
    ContextAccess(context_).schedule(*this);
  }
  return true;
}

void CancelSource::inherit(const CancelSource& parent) {
  set_deadline(parent.deadline());
  if (const CancelCause cause = parent.cause(); cause != CancelCause::kNone) {
    request(cause);
  }
}

void CancelSource::renew() {
  check(nodes_.empty(), "a cancel source is renewed while operations are listed in it");
  if (cancel_requested()) {
    ContextAccess(context_).cancel(*this);
    // Sequentially consistent: pairs with request().
    cause_.store(CancelCause::kNone, std::memory_order_seq_cst);
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
