// Signals: process signals as something to await.
//
//   absl::StatusOr<Signals> signals = Signals::open(context, {SIGINT, SIGTERM});
//   absl::StatusOr<int> number = co_await signals->next();
//
// While the object lives, its signals do not have their usual effect on the process: next() returns
// them instead. Several objects, on one context or on several, may name one signal; each of them
// receives it. When the last of them is destroyed, the action from before is restored. Signals that
// an object has received and that next() has not returned are dropped with the object. Two signals
// with one number are one signal if the first was not returned before the second came. next()
// returns the lowest number first.
//
// Effect on the process: open() installs a signal handler (with SA_RESTART). If the program
// installs
//   another action for the signal later, that action stays. open() unblocks the signals in the
//   calling thread until the object is destroyed. A system call that SA_RESTART does not restart,
//   such as poll(2) or nanosleep(2), may end with EINTR in any thread that does not block the
//   signal.
// Children: a program that is started begins with the default action; a forked child has the action
//   from before open().
//
// next(): may complete without suspending? Yes: when a signal is pending; as a task, see
//   coro/task.h.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home.
// Who must outlive whom? The object outlives next(). One task at a time calls next(), which is
//   checked: another task opens an object of its own.
// Threads: the home thread of the context; it has also called open().
// Errors: open() gives kInvalidArgument, which names the signal, for a number that is no signal,
// for
//   SIGKILL and SIGSTOP, and for signals that report a fault of the thread itself (SIGSEGV, SIGBUS,
//   SIGFPE, SIGILL, SIGTRAP, SIGSYS), after which no loop could go on.

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

  // Waits for the next signal, and returns its number.
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
