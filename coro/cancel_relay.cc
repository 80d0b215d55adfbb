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
  const bool requested_here = downstream_.has_value() && downstream_->cancel_requested();
  downstream_.reset();
  if (&target == &upstream_.context() && !requested_here) {
    return upstream_;
  }
  downstream_.emplace(target);
  if (requested_here || upstream_.cancel_requested()) {
    downstream_->request_cancel();
  }
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
    self.downstream_->request_cancel();
  }
}

}  // namespace coaio::internal
