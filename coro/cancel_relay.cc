#include "coro/cancel_relay.h"

#include <memory>
#include <mutex>
#include <utility>

#include "coro/cancel.h"
#include "runtime/context.h"

namespace coaio {

CancelRelay::CancelRelay(CancelSource& upstream)
    : CancelNode(&CancelRelay::pass_on), upstream_(upstream) {
  if (!upstream.cancel_requested()) {
    upstream.add(*this);
  }
}

CancelSource& CancelRelay::follow(Context& target) {
  std::unique_ptr<CancelSource> next;
  if (&target != &upstream_.context()) {
    next = std::make_unique<CancelSource>(target);
  }
  std::unique_ptr<CancelSource> previous;  // ends here, at its home
  const std::lock_guard lock(mutex_);
  previous = std::exchange(downstream_, std::move(next));
  if (downstream_ == nullptr) {
    return upstream_;
  }
  // A request before this line may have gone to `previous`, or to nobody.
  if (upstream_.cancel_requested()) {
    downstream_->request_cancel();
  }
  return *downstream_;
}

void CancelRelay::leave() {
  const std::lock_guard lock(mutex_);
  left_ = true;
  if (downstream_ != nullptr) {
    downstream_->close();
  }
}

void CancelRelay::pass_on(CancelNode& node) {
  auto& self = static_cast<CancelRelay&>(node);
  const std::lock_guard lock(self.mutex_);
  if (!self.left_ && self.downstream_ != nullptr) {
    self.downstream_->request_cancel();
  }
}

}  // namespace coaio
