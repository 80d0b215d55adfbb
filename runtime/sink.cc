#include "runtime/sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/unique_fd.h"

namespace coaio {
namespace {

// Keeps a write(2) of this thread from raising a signal: SIGPIPE for a pipe without a reader, and
// SIGTTOU for a terminal that stops background jobs, which the kernel does not send where it is
// blocked. Leaves the signal mask, and a SIGPIPE that was pending before, as they were.
class NoSignals {
 public:
  NoSignals() {
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t both = pipe_;
    sigaddset(&both, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &both, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() {
    // The kernel sends it to the thread that writes, so that what is pending now is of our making.
    const timespec at_once{};
    while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

// A file that takes what it can without blocking.
class QuietFile {
 public:
  explicit QuietFile(int fd) {
    struct stat file = {};
    if (fstat(fd, &file) != 0 || S_ISSOCK(file.st_mode)) {
      return;
    }
    // O_NONBLOCK belongs to the open file, which others may share: so open it once more. A regular
    // file does not block, and a second opening would have a position of its own.
    if (!S_ISREG(file.st_mode)) {
      file_ = UniqueFd(open(absl::StrCat("/proc/self/fd/", fd).c_str(),
                            O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    }
    // Without /proc, or the right to open it: a copy, and a flag that older kernels refuse.
    if (!file_.valid()) {
      file_ = UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
      flags_ = S_ISREG(file.st_mode) ? 0 : RWF_NOWAIT;
    }
  }

  // One call, so that what is written at the same time by others does not come in between; the rest
  // of a longer text is dropped.
  void write(absl::string_view text) const {
    if (!file_.valid()) {
      return;
    }
    const NoSignals no_signals;
    std::string line = absl::StrCat(text.substr(0, PIPE_BUF - 1), "\n");
    const iovec data{.iov_base = line.data(), .iov_len = line.size()};
    const ssize_t written =
        flags_ == 0 ? writev(file_.get(), &data, 1) : pwritev2(file_.get(), &data, 1, -1, flags_);
    static_cast<void>(written);  // a text that finds no room is dropped
  }

 private:
  UniqueFd file_;
  int flags_ = 0;
};

}  // namespace

Sink standard_error_sink() {
  return [file = std::make_shared<const QuietFile>(STDERR_FILENO)](absl::string_view sentence) {
    file->write(absl::StrCat("coaio: ", sentence));
  };
}

void Messages::tell(absl::string_view sentence) {
  {
    const std::lock_guard lock(mutex_);
    ++count_;
    last_.assign(sentence.data(), sentence.size());
  }
  if (sink_ != nullptr) {
    sink_(sentence);
  }
}

std::uint64_t Messages::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::string Messages::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace coaio
