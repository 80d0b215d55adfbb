// PollableEvent: an eventfd that the kernel signals and we quiet, for a foreign loop to sleep on.
// Private to the back ends.

#ifndef COAIO_BACKENDS_POLLABLE_EVENT_H_
#define COAIO_BACKENDS_POLLABLE_EVENT_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "backends/unique_fd.h"

namespace coaio {

class PollableEvent {
 public:
  // Returns an errno.
  int open() {
    fd_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return fd_.valid() ? 0 : errno;
  }
  void close() { fd_.reset(); }

  bool valid() const { return fd_.valid(); }
  int get() const { return fd_.get(); }

  // Forgets the signals so far, before the caller looks at what they stood for. Errors are ignored:
  // that there was none, and those that leave it readable, which costs the foreign loop a turn.
  void quiet() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto drained = ::read(fd_.get(), &count, sizeof count);
  }

  // Cannot fail: the count is far from its end.
  void signal() { eventfd_write(fd_.get(), 1); }

 private:
  UniqueFd fd_;
};

}  // namespace coaio

#endif  // COAIO_BACKENDS_POLLABLE_EVENT_H_
