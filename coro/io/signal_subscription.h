// SignalSubscription: what a process has to arrange so that several objects hear its signals.
// Private to coro/io.
//
// The first subscription to a signal installs a handler, and the last one restores the action that
// was there before. The handler marks the signal in every subscription to it, and writes to the
// subscription's eventfd. So each subscription hears each signal, whichever thread it came to.
//
// The handler does nothing of this in a child that was forked, where it restores the action from
// before and raises the signal again; and exec(3) resets handlers by itself.
//
// Threads: take() any; made and destroyed on the same thread, any.

#ifndef COAIO_CORO_IO_SIGNAL_SUBSCRIPTION_H_
#define COAIO_CORO_IO_SIGNAL_SUBSCRIPTION_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "absl/status/statusor.h"

namespace coaio::internal {

class SignalSubscription {
 public:
  // `eventfd` stays open for as long as the subscription.
  static absl::StatusOr<std::unique_ptr<SignalSubscription>> make(
      std::initializer_list<int> numbers, int eventfd);

  SignalSubscription(const SignalSubscription&) = delete;
  SignalSubscription& operator=(const SignalSubscription&) = delete;
  ~SignalSubscription();

  // The lowest number that has come and was not taken; 0 if there is none.
  int take();

  // For the handler.
  void hear(int number);

 private:
  explicit SignalSubscription(int eventfd);

  const int eventfd_;
  const pid_t owner_;
  std::uint64_t wanted_ = 0;               // bit n - 1 for signal n; constant once it is listed
  std::atomic<std::uint64_t> pending_{0};  // the same
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_SIGNAL_SUBSCRIPTION_H_
