#include "coro/io/signals.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/cancel.h"
#include "coro/io/signal_subscription.h"
#include "coro/io/try_operation.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {

using namespace internal;
namespace {

class NextSignal : public TryOperation {
 public:
  NextSignal(const WatchedFd& bell, SignalSubscription* subscription)
      : TryOperation(bell, Events::kIn, &NextSignal::attempt), subscription_(subscription) {}

  // 0 if it was cancelled.
  int await_resume() const { return was_cancelled() ? 0 : number_; }

 private:
  // The eventfd is drained before the last take(), so that a signal after it makes the eventfd
  // readable again.
  static Outcome attempt(TryOperation& operation) {
    auto& self = static_cast<NextSignal&>(operation);
    std::uint64_t rings = 0;
    do {
      self.number_ = self.subscription_->take();
    } while (self.number_ == 0 && read(self.fd(), &rings, sizeof rings) == sizeof rings);
    return self.number_ == 0 ? Outcome::kWouldBlock : Outcome::kDone;
  }

  SignalSubscription* subscription_;
  int number_ = 0;
};

}  // namespace

absl::StatusOr<Signals> Signals::open(Context& context, std::initializer_list<int> numbers) {
  UniqueFd bell(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell.valid()) {
    return errno_status(errno, "eventfd for signals");
  }
  absl::StatusOr<std::unique_ptr<SignalSubscription>> subscription =
      SignalSubscription::make(numbers, bell.get());
  if (!subscription.ok()) {
    return subscription.status();
  }
  return Signals(context, std::move(bell), *std::move(subscription));
}

Task<absl::StatusOr<int>> Signals::next() {
  const int number = co_await NextSignal(bell_, subscription_.get());
  if (number == 0) {
    co_return cancelled();
  }
  co_return number;
}

}  // namespace coaio
