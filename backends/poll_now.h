// poll_now: what a descriptor shows at this moment, for the cases in which the kernel's answer
// leaves a doubt. Private to the back ends.

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

// Whether a file has no readiness to wait for (regular files, directories, /dev/null): it shows
// both directions, whatever its state. The kernel refuses such a file with an errno that a sandbox
// also uses, and to take a sandbox's refusal for the file's nature would report a silent socket at
// every turn.
inline bool is_always_ready(int fd) {
  constexpr Events kBoth = Events::kIn | Events::kOut;
  struct stat file{};
  return ::fstat(fd, &file) == 0 && !S_ISSOCK(file.st_mode) && !S_ISFIFO(file.st_mode) &&
         poll_now(fd, kBoth) == kBoth;
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_POLL_NOW_H_
