// Signals: process signals as something to await.
//
//   absl::StatusOr<Signals> signals = Signals::open(context, {SIGINT, SIGTERM});
//   absl::StatusOr<int> number = co_await signals->next();
//
// open() blocks the signals in the calling thread, and threads that it starts afterwards inherit
// that: open before you start threads, or a signal may end the process by way of one of them. When
// the object ends, what it has blocked is unblocked; a signal that came before and that nobody has
// taken is dropped. Signals of one number that come before the first was taken are one.
//
// next(): may complete without suspending? When a signal is waiting; as a task, see coro/task.h.
// Observes cancellation? Yes: kCancelled. Resumes where? On the task's home.
// Who must outlive whom? The object outlives next().
// Threads: the home thread of the context, which is the one that has called open().

#ifndef COAIO_CORO_IO_SIGNALS_H_
#define COAIO_CORO_IO_SIGNALS_H_

#include <csignal>
#include <initializer_list>
#include <utility>

#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {

class Signals {
 public:
  static absl::StatusOr<Signals> open(Context& context, std::initializer_list<int> numbers);

  Signals(Signals&& other) noexcept
      : signals_(std::move(other.signals_)), blocked_(std::exchange(other.blocked_, sigset_t{})) {}
  Signals& operator=(Signals&&) = delete;
  ~Signals();

  // The number of the next signal.
  Task<absl::StatusOr<int>> next();

 private:
  Signals(Context& context, UniqueFd signals, const sigset_t& blocked)
      : signals_(context, std::move(signals)), blocked_(blocked) {}

  WatchedFd signals_;
  sigset_t blocked_;  // by this object: what was blocked before stays so
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_SIGNALS_H_
