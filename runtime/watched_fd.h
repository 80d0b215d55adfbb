// WatchedFd: a descriptor that coaio owns, with the watch that lasts as long as it.
//
// The owner tries its operation first and waits only when it found nothing: one registration, and a
// wait costs no system call besides the loop's own. Closing withdraws the watch, waits until the
// kernel has let go of it, and closes the descriptor, in this order: the file is closed when
// close() returns. Waiters are woken with Events::kNone.
//
// Threads: the home thread of the context.
// Lifetime: the context outlives it.

#ifndef COAIO_RUNTIME_WATCHED_FD_H_
#define COAIO_RUNTIME_WATCHED_FD_H_

#include <utility>

#include "backends/unique_fd.h"
#include "runtime/context.h"
#include "runtime/fd_table.h"

namespace coaio {

class WatchedFd {
 public:
  WatchedFd() = default;
  WatchedFd(Context& context, UniqueFd fd)
      : fd_(std::move(fd)), context_(&context), record_(&context.fds().own(fd_.get())) {}
  WatchedFd(WatchedFd&& other) noexcept
      : fd_(std::move(other.fd_)),
        context_(other.context_),
        record_(std::exchange(other.record_, nullptr)) {}
  WatchedFd& operator=(WatchedFd&& other) noexcept {
    close();
    fd_ = std::move(other.fd_);
    context_ = other.context_;
    record_ = std::exchange(other.record_, nullptr);
    return *this;
  }
  ~WatchedFd() { close(); }

  void close() {
    if (record_ != nullptr) {
      context_->fds().release(*std::exchange(record_, nullptr));
      context_->settle();
      fd_.reset();
    }
  }

  bool is_open() const { return record_ != nullptr; }
  int get() const { return fd_.get(); }
  Context& context() const { return *context_; }
  FdRecord& record() const { return *record_; }

 private:
  UniqueFd fd_;
  Context* context_ = nullptr;
  FdRecord* record_ = nullptr;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_WATCHED_FD_H_
