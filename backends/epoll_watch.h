// EpollWatch: a watch, and what the epoll instance holds of it. Private to the epoll back end.

#ifndef COAIO_BACKENDS_EPOLL_WATCH_H_
#define COAIO_BACKENDS_EPOLL_WATCH_H_

#include <sys/epoll.h>

#include <cstdint>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/poll_bits.h"
#include "backends/watch_table.h"

namespace coaio::internal {

// How the monitor learns that a file is ready.
enum class FileKind : std::uint8_t {
  kWatched,      // epoll reports it
  kAlwaysReady,  // epoll refuses the file, because it has no readiness: a regular file, /dev/null
  // The poll function of the file reports a change once and clears it (/proc/self/mountinfo). epoll
  // calls that function when a watch is added or modified, and again when it delivers, so a change
  // that the first of the two calls returns is lost. The monitor therefore registers such a file
  // once, edge-triggered, and calls poll(2) on it when its owner begins to wait.
  kClearedByPoll,
};

struct EpollWatch : Watch {
  // What the epoll instance holds for this slot. The other three fields are valid only if
  // `registered` is true.
  bool registered = false;
  int registered_fd = -1;
  std::uint32_t registered_generation = 0;
  std::uint32_t registered_bits = 0;

  FileKind kind = FileKind::kWatched;
  bool asks_priority = false;     // the owner has waited for priority events under this key
  bool listed = false;            // EpollUnwatchedFiles lists the slot
  Events held = Events::kNone;    // kClearedByPoll: events that are not reported yet
  Events wanted = Events::kNone;  // kEdge, not for kWatched: what the owner waits for
  bool is_new = false;            // arm() has not numbered this key
  std::uint32_t number = 0;       // later keys have higher numbers

  void renew() {
    kind = FileKind::kWatched;
    asks_priority = false;
    held = Events::kNone;
    is_new = true;
  }
};

// The bits of a one-shot watch after its delivery: the kernel then reports nothing, not even
// hang-up and error. EPOLL_CTL_MOD with these bits would report both. If the owner empties the
// interest, the monitor therefore unregisters the watch.
inline constexpr std::uint32_t kSpent = EPOLLONESHOT;

inline std::uint64_t to_data(Key key) { return std::uint64_t{key.generation} << 32 | key.slot; }

inline Key to_key(std::uint64_t data) {
  return {.slot = static_cast<std::uint32_t>(data),
          .generation = static_cast<std::uint32_t>(data >> 32)};
}

inline std::uint32_t to_bits(const EpollWatch& watch) {
  if (watch.kind == FileKind::kClearedByPoll) {
    return poll_bits(watch.interest | Events::kPriority) | EPOLLET;
  }
  switch (watch.trigger) {
    case Trigger::kOneShot:
      return poll_bits(watch.interest) | EPOLLONESHOT;
    case Trigger::kEdge:
      return poll_bits(watch.interest) | EPOLLET;
    case Trigger::kLevel:
      break;
  }
  return poll_bits(watch.interest);
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_EPOLL_WATCH_H_
