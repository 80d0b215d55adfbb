#include "coro/io/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <initializer_list>
#include <utility>

#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/cancel.h"
#include "coro/io/try_operation.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {
namespace {

class NextSignal : public TryOperation {
 public:
  explicit NextSignal(const WatchedFd& signals)
      : TryOperation(signals, Events::kIn, &NextSignal::attempt) {}

  absl::StatusOr<int> await_resume() const {
    if (was_cancelled()) {
      return cancelled();
    }
    if (error_ != 0) {
      return errno_status(error_, "read from signalfd");
    }
    return static_cast<int>(signal_.ssi_signo);
  }

 private:
  static bool attempt(TryOperation& operation) {
    auto& self = static_cast<NextSignal&>(operation);
    const ssize_t count = read(self.fd(), &self.signal_, sizeof self.signal_);
    self.error_ = count == sizeof self.signal_ ? 0 : errno;
    return self.error_ != EAGAIN;
  }

  signalfd_siginfo signal_{};
  int error_ = 0;
};

}  // namespace

absl::StatusOr<Signals> Signals::open(Context& context, std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) {
    if (sigaddset(&set, number) != 0) {
      return errno_status(errno, "sigaddset");
    }
  }
  UniqueFd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) {
    return errno_status(errno, "signalfd");
  }
  sigset_t previous;
  if (int error = pthread_sigmask(SIG_BLOCK, &set, &previous); error != 0) {
    return errno_status(error, "pthread_sigmask");
  }
  return Signals(context, std::move(fd), previous);
}

Signals::~Signals() {
  if (restore_) {
    pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
  }
}

Task<absl::StatusOr<int>> Signals::next() { co_return co_await NextSignal(signals_); }

}  // namespace coaio
