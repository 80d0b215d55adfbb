#include "backends/epoll_unwatched_files.h"

#include <sys/stat.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "backends/epoll_watch.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/poll_now.h"
#include "backends/watch_table.h"

namespace coaio::internal {
namespace {

constexpr Events kDirections = Events::kIn | Events::kOut;
constexpr Events kEverything = kDirections | Events::kPriority | Events::kReadHangUp;

// Only for a watch with an interest: polling for a dead watch would clear a change that the next
// watch of the file has to report.
void poll_cleared_by_poll(EpollWatch& watch) {
  if (any(watch.interest)) {
    watch.held |= poll_now(watch.fd, kEverything);
  }
}

// Returns whether the next wait reports the file again.
bool report_always_ready(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
  const Events left = watch.trigger == Trigger::kEdge ? watch.wanted : kDirections;
  const Events events = watch.interest & left & kDirections;
  if (any(events)) {
    ready.emplace_back(Key{slot, watch.generation}, events);
  }
  watch.wanted = Events::kNone;
  if (watch.trigger == Trigger::kOneShot) {
    // The descriptor may refer to another file when the owner arms the watch again.
    watch.interest = Events::kNone;
    watch.kind = FileKind::kWatched;
  }
  return any(events) && watch.trigger == Trigger::kLevel;
}

// Returns whether the next wait polls the file again: a level lasts.
bool report_held(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
  const Events asked =
      watch.trigger == Trigger::kEdge ? watch.wanted & watch.interest : watch.interest;
  const Events events = watch.held & (asked | kFailure);
  if (!any(asked) || !any(events)) {
    return false;
  }
  ready.emplace_back(Key{slot, watch.generation}, events);
  watch.held &= Events::kPriority & ~events;  // the next poll(2) returns the other events again
  watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
  if (watch.trigger == Trigger::kOneShot) {
    watch.interest = Events::kNone;
  }
  return watch.trigger == Trigger::kLevel;
}

// Returns whether the file stays listed.
bool report_file(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
  switch (watch.kind) {
    case FileKind::kAlwaysReady:
      return report_always_ready(slot, watch, ready);
    case FileKind::kClearedByPoll:
      return report_held(slot, watch, ready);
    case FileKind::kWatched:
      break;
  }
  return false;
}

}  // namespace

void EpollUnwatchedFiles::list(std::uint32_t slot, EpollWatch& watch) {
  if (!std::exchange(watch.listed, true)) {
    listed_.push_back(slot);
  }
}

void EpollUnwatchedFiles::add_always_ready(std::uint32_t slot, EpollWatch& watch) {
  watch.kind = FileKind::kAlwaysReady;
  has_had_any_ = true;
  list(slot, watch);
}

// A file of kClearedByPoll is a regular file that epoll accepts, and its change is a priority
// event.
void EpollUnwatchedFiles::poll_before_registering(std::uint32_t slot, EpollWatch& watch) {
  struct stat file{};
  const bool regular = ::fstat(watch.fd, &file) == 0 && S_ISREG(file.st_mode);
  watch.kind = regular ? FileKind::kClearedByPoll : FileKind::kWatched;
  if (regular) {
    has_had_any_ = true;
    poll_cleared_by_poll(watch);
    list(slot, watch);
  }
}

void EpollUnwatchedFiles::recheck() {
  for (const std::uint32_t slot : listed_) {
    EpollWatch& watch = watches_[slot];
    if (watch.kind == FileKind::kClearedByPoll) {
      poll_cleared_by_poll(watch);
    } else if (watch.kind == FileKind::kAlwaysReady && !is_always_ready(watch.fd)) {
      watch.kind = FileKind::kWatched;
      watches_.touch(slot);
    }
  }
}

void EpollUnwatchedFiles::report(std::vector<FdEvent>& ready) {
  std::erase_if(listed_, [&](std::uint32_t slot) {
    EpollWatch& watch = watches_[slot];
    watch.listed = report_file(slot, watch, ready);
    return !watch.listed;
  });
}

bool EpollUnwatchedFiles::deliver(Key key, Events events, std::vector<FdEvent>& ready) {
  EpollWatch& watch = watches_[key.slot];
  if (!watch.live || watch.generation != key.generation) {
    return false;
  }
  watch.held |= events;  // kept until the owner wants them
  if (report_held(key.slot, watch, ready)) {
    list(key.slot, watch);
  }
  return true;
}

}  // namespace coaio::internal
