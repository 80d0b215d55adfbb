// Signals: process signals as something to await.
//
//   absl::StatusOr<Signals> signals = Signals::open(context, {SIGINT, SIGTERM});
//   absl::StatusOr<int> number = co_await signals->next();
//
// While the object lives, its signals do not have their usual effect on the process; they are
// heard instead. Several objects, on one context or on several, may name one signal: each of them
// hears it. When the last one ends, the action from before is restored. Signals that an object has
// heard and that were not taken by next() are dropped with it. Signals of one number that come
// before the first was taken are one; next() gives the lowest number first.
//
// The process: open() installs a signal handler (with SA_RESTART), and leaves alone an action that
//   the program installs for the signal afterwards. In the calling thread open() unblocks the
//   signals until the object ends. Other threads need nothing; but a call that SA_RESTART does not
//   restart, such as poll(2) or nanosleep(2), may end with EINTR in a thread that does not block
//   the signal.
// Children inherit nothing of it: a program that is started begins with the default action, and a
//   forked child has the action from before.
//
// next(): may complete without suspending? When a signal is waiting; as a task, see coro/task.h.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home.
// Who must outlive whom? The object outlives next(). One task calls next(); a second next() on one
//   object at the same time ends the program with a sentence: open a second object for it.
// Threads: the home thread of the context, which is the one that has called open().
// Errors: open() gives kInvalidArgument, which names the signal, for numbers that are no signal,
//   for SIGKILL and SIGSTOP, and for those that tell of a fault of the thread itself (SIGSEGV,
//   SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS): no loop could go on after these.

#ifndef COAIO_CORO_IO_SIGNALS_H_
#define COAIO_CORO_IO_SIGNALS_H_

#include <initializer_list>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/io/signal_subscription.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {

class Signals {
 public:
  static absl::StatusOr<Signals> open(Context& context, std::initializer_list<int> numbers);

  Signals(Signals&&) = default;
  Signals& operator=(Signals&&) = delete;

  // The number of the next signal.
  Task<absl::StatusOr<int>> next();

 private:
  Signals(Context& context, UniqueFd bell,
          std::unique_ptr<internal::SignalSubscription> subscription)
      : bell_(context, std::move(bell)), subscription_(std::move(subscription)) {}

  internal::WatchedFd bell_;  // an eventfd
  std::unique_ptr<internal::SignalSubscription>
      subscription_;  // after the eventfd that it writes to
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_SIGNALS_H_
