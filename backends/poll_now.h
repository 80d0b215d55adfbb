// poll_now: one poll(2) without sleeping, for files about which the answer of epoll or io_uring is
// ambiguous. Private to the back ends.

#ifndef COAIO_BACKENDS_POLL_NOW_H_
#define COAIO_BACKENDS_POLL_NOW_H_

#include <poll.h>
#include <sys/stat.h>

#include <cstdint>

#include "backends/events.h"
#include "backends/poll_bits.h"

namespace coaio::internal {

inline Events poll_now(int fd, Events asked) {
  pollfd entry{.fd = fd, .events = static_cast<short>(poll_bits(asked)), .revents = 0};
  return ::poll(&entry, 1, 0) == 1 ? events_of(static_cast<std::uint16_t>(entry.revents))
                                   : Events::kNone;
}

// Whether a file seems to have no readiness to wait for (a regular file, a directory, /dev/null):
// such a file is always ready for both directions. The kernel refuses it with EPERM, as a sandbox
// refuses other files. If the monitor took the refusal of a sandbox for that of such a file, it
// would report an idle socket in every turn.
inline bool is_always_ready(int fd) {
  constexpr Events kBoth = Events::kIn | Events::kOut;
  struct stat file{};
  return ::fstat(fd, &file) == 0 && !S_ISSOCK(file.st_mode) && !S_ISFIFO(file.st_mode) &&
         poll_now(fd, kBoth) == kBoth;
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_POLL_NOW_H_
