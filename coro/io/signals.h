// Signals: process signals as something to await.
//
//   absl::StatusOr<Signals> signals = Signals::open(context, {SIGINT, SIGTERM});
//   absl::StatusOr<int> number = co_await signals->next();
//
// While the object lives, its signals do not have their usual effect on the process: next() returns
// them instead. Several objects, on one context or on several, may name one signal; each of them
// receives it. When the last of these objects is destroyed, the action that the signal had before
// the first open() is restored. When an object is destroyed, its pending signals are discarded. A
// signal that arrives while a signal with the same number is pending is merged with the pending
// signal. next() returns the lowest pending number first.
//
// Effect on the process: open() installs a signal handler (with SA_RESTART). An action that the
//   program installs for the signal later stays. open() unblocks the signals in the calling thread
//   until the object is destroyed. Some system calls, such as poll(2) and nanosleep(2), are not
//   restarted by SA_RESTART: such a call may end with EINTR in any thread that does not block the
//   signal.
// Children: a program that is started begins with the default action; a forked child has the action
//   from before open().
//
// next(): may complete without suspending? Yes: when a signal is pending. next() is a Task, so the
//   rule in coro/task.h about the coop budget applies.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home.
// What must outlive what? The object outlives next(). One task at a time calls next(), which is
//   checked: another task opens an object of its own.
// Threads: the home thread of the context calls open() and next().
// Errors: open() gives kInvalidArgument, with the number of the signal, in three cases:
//   - the number is not the number of a signal;
//   - the signal is SIGKILL or SIGSTOP;
//   - the signal reports a fault of a thread (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS):
//     the loop could not continue after such a fault.

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
