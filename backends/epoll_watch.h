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

// How the readiness of a file is learned.
enum class FileKind : std::uint8_t {
  kWatched,      // epoll reports it
  kAlwaysReady,  // epoll refuses the file, for it has no readiness: a regular file, /dev/null
  // The poll function of the file reports a change once and clears it: /proc/self/mountinfo and
  // its like. epoll calls that function when a watch is added or modified, and again when it
  // delivers, so a change that the first of the two calls sees is lost. Such a file is registered
  // once, edge-triggered, and is asked with poll(2) whenever its owner begins to wait.
  kClearedByPoll,
};

struct EpollWatch : Watch {
  // What the epoll instance holds for this slot. The other three fields mean nothing without
  // `registered`.
  bool registered = false;
  int registered_fd = -1;
  std::uint32_t registered_generation = 0;
  std::uint32_t registered_bits = 0;

  FileKind kind = FileKind::kWatched;
  bool asks_priority = false;     // the owner has waited for priority events under this key
  bool listed = false;            // the slot stands in listed_
  Events held = Events::kNone;    // kClearedByPoll: seen, not reported yet
  Events wanted = Events::kNone;  // kEdge: what the owner waits for; kept up to date for
                                  // kAlwaysReady and kClearedByPoll only
  bool is_new = false;            // arm() has yet to number this key
  std::uint32_t number = 0;       // later keys have higher numbers

  void renew() {
    kind = FileKind::kWatched;
    asks_priority = false;
    held = Events::kNone;
    is_new = true;
  }
};

// The bits of a one-shot watch after its delivery: the kernel then reports nothing, not even
// hang-up and error. EPOLL_CTL_MOD with these bits would report both, so a watch whose owner
// empties the interest is removed instead.
inline constexpr std::uint32_t kSpent = EPOLLONESHOT;

inline constexpr Events kDirections = Events::kIn | Events::kOut;
inline constexpr Events kEverything = kDirections | Events::kPriority | Events::kReadHangUp;

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
