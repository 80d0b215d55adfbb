#include "coro/cancel_relay.h"

#include <mutex>

#include "coro/cancel.h"
#include "runtime/context.h"

namespace coaio::internal {

CancelRelay::CancelRelay(CancelSource& upstream)
    : CancelNode(&CancelRelay::pass_on), upstream_(upstream) {
  if (!upstream.cancel_requested()) {
    upstream.add(*this);
  }
}

// A request to `upstream` before this call may not have reached the previous source yet, so that
// both are asked. A request to the previous source alone concerns this task only, and is not passed
// to `upstream`.
CancelSource& CancelRelay::follow(Context& target) {
  const std::lock_guard lock(mutex_);
  const CancelCause cause = downstream_.has_value() ? downstream_->cause() : CancelCause::kNone;
  downstream_.reset();
  if (&target == &upstream_.context() && cause == CancelCause::kNone) {
    return upstream_;
  }
  downstream_.emplace(target);
  if (cause != CancelCause::kNone) {
    downstream_->request(cause);
  }
  downstream_->inherit(upstream_);
  return *downstream_;
}

void CancelRelay::leave() {
  const std::lock_guard lock(mutex_);
  downstream_.reset();
}

void CancelRelay::pass_on(CancelNode& node) {
  auto& self = static_cast<CancelRelay&>(node);
  const std::lock_guard lock(self.mutex_);
  if (self.downstream_.has_value()) {
    self.downstream_->request(self.upstream_.cause());
  }
}

}  // namespace coaio::internal
