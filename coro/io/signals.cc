#include "coro/io/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <initializer_list>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/check.h"
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
  static Outcome attempt(TryOperation& operation) {
    auto& self = static_cast<NextSignal&>(operation);
    const ssize_t count = read(self.fd(), &self.signal_, sizeof self.signal_);
    self.error_ = count == sizeof self.signal_ ? 0 : errno;
    return self.error_ == EAGAIN ? Outcome::kWouldBlock : Outcome::kDone;
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
      return errno_status(errno, absl::StrCat("signal ", number));
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
  sigset_t blocked = set;
  for (const int number : numbers) {
    if (sigismember(&previous, number) == 1) {
      sigdelset(&blocked, number);
    }
  }
  return Signals(context, std::move(fd), blocked);
}

Signals::~Signals() {
  // Once unblocked, an untaken signal would be delivered: a second Ctrl-C would kill a program that
  // is about to end cleanly because of the first.
  const timespec at_once{};
  while (sigtimedwait(&blocked_, nullptr, &at_once) > 0 || errno == EINTR) {
  }
  const int error = pthread_sigmask(SIG_UNBLOCK, &blocked_, nullptr);
  check(error == 0, "pthread_sigmask refuses to unblock what it has blocked");
}

Task<absl::StatusOr<int>> Signals::next() { co_return co_await NextSignal(signals_); }

}  // namespace coaio
