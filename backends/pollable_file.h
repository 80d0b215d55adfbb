// is_pollable: whether the kernel can report that a file becomes ready. Private to the back ends.

#ifndef COAIO_BACKENDS_POLLABLE_FILE_H_
#define COAIO_BACKENDS_POLLABLE_FILE_H_

#include <sys/epoll.h>

#include <cerrno>

#include "backends/poll_now.h"
#include "backends/unique_fd.h"

namespace coaio::internal {

// False for regular files, directories and /dev/null. poll(2) alone cannot tell: these files are
// always ready for both directions, and an eventfd may be so at one moment. epoll_ctl(2) fails with
// EPERM for these files only, except in a sandbox. Makes up to five system calls.
inline bool is_pollable(int fd) {
  if (!is_always_ready(fd)) {
    return true;
  }
  const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  return epoll.valid() &&
         (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0 || errno != EPERM);
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_POLLABLE_FILE_H_
