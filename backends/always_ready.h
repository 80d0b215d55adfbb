// is_always_ready: whether a file has no readiness to wait for: regular files, directories,
// /dev/null. Private to the back ends.
//
// The kernel refuses such a file with an errno that a sandbox also uses. To take a sandbox's
// refusal for the file's nature would report a silent socket at every turn, so the errno alone
// decides nothing.

#ifndef COAIO_BACKENDS_ALWAYS_READY_H_
#define COAIO_BACKENDS_ALWAYS_READY_H_

#include <poll.h>

namespace coaio {

// Such a file shows both directions to poll(2), whatever its state.
inline bool is_always_ready(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN | POLLOUT, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 && entry.revents == (POLLIN | POLLOUT);
}

}  // namespace coaio

#endif  // COAIO_BACKENDS_ALWAYS_READY_H_
