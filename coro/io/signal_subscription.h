// SignalSubscription: lets several objects of one process receive the same signals. Private to
// coro/io.
//
// The first subscription to a signal installs a handler, and the last one restores the action that
// was there before. The handler marks the signal in each subscription to it, and writes to the
// eventfd of that subscription. So each subscription receives each signal, on whichever thread the
// kernel delivers it.
//
// In a forked child the handler restores the action from before, and raises the signal again.
// exec(3) resets handlers by itself.
//
// Threads: a subscription is destroyed on the thread that made it; any thread may call take(), but
//   one thread at a time.

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
  // `eventfd` stays open while the subscription lives.
  static absl::StatusOr<std::unique_ptr<SignalSubscription>> make(
      std::initializer_list<int> numbers, int eventfd);

  SignalSubscription(const SignalSubscription&) = delete;
  SignalSubscription& operator=(const SignalSubscription&) = delete;
  ~SignalSubscription();

  // Returns the lowest signal number that was received and not taken yet, and takes it; 0 if there
  // is none.
  int take();

  // For the signal handler.
  void hear(int number);

 private:
  explicit SignalSubscription(int eventfd);

  const int eventfd_;
  const pid_t owner_;
  std::uint64_t wanted_ = 0;               // bit n - 1 for signal n; constant from list() on
  std::atomic<std::uint64_t> pending_{0};  // bit n - 1 for signal n
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_IO_SIGNAL_SUBSCRIPTION_H_
