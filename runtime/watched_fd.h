// WatchedFd: a descriptor that coaio owns, with the watch that lasts as long as it.
//
// The owner tries its operation first and waits only when it found nothing: one registration, and a
// wait costs no system call besides the loop's own. Closing withdraws the watch, waits until the
// kernel has let go of it, and closes the descriptor, in this order: the file is closed when
// close() returns. Waiters are woken with Events::kNone.
//
// Threads: the home thread of the context.
// Lifetime: the context outlives it. In a forked child the descriptor is closed and nothing else
//   happens: the watch, and the tasks that wait, are the parent's.

#ifndef COAIO_RUNTIME_WATCHED_FD_H_
#define COAIO_RUNTIME_WATCHED_FD_H_

#include <utility>

#include "backends/unique_fd.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"

namespace coaio::internal {

class WatchedFd {
 public:
  WatchedFd() = default;
  WatchedFd(Context& context, UniqueFd fd)
      : fd_(std::move(fd)),
        context_(&context),
        record_(&ContextAccess(context).fds().own(fd_.get())) {}
  WatchedFd(WatchedFd&& other) noexcept
      : fd_(std::move(other.fd_)),
        context_(std::exchange(other.context_, nullptr)),
        record_(std::exchange(other.record_, nullptr)) {}
  WatchedFd& operator=(WatchedFd&& other) noexcept {
    close();
    fd_ = std::move(other.fd_);
    context_ = std::exchange(other.context_, nullptr);
    record_ = std::exchange(other.record_, nullptr);
    return *this;
  }
  ~WatchedFd() { close(); }

  void close() {
    if (record_ != nullptr) {
      FdRecord& record = *std::exchange(record_, nullptr);
      if (!context_->was_forked()) {
        ContextAccess(*context_).fds().release(record);
        ContextAccess(*context_).settle();
      }
      fd_.reset();
    }
  }

  bool is_open() const { return record_ != nullptr; }

  // False: it was moved from, or never had a descriptor. A closed one still has its context.
  bool has_context() const { return context_ != nullptr; }
  int get() const { return fd_.get(); }
  Context& context() const { return *context_; }
  FdRecord& record() const { return *record_; }

 private:
  UniqueFd fd_;
  Context* context_ = nullptr;
  FdRecord* record_ = nullptr;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_WATCHED_FD_H_
