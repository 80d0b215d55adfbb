// EpollUnwatchedFiles: the files that epoll refuses, and the files whose change poll(2) clears. The
// monitor polls them itself or answers for them. Private to the epoll back end.

#ifndef COAIO_BACKENDS_EPOLL_UNWATCHED_FILES_H_
#define COAIO_BACKENDS_EPOLL_UNWATCHED_FILES_H_

#include <cstdint>
#include <vector>

#include "backends/epoll_watch.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/watch_table.h"

namespace coaio::internal {

class EpollUnwatchedFiles {
 public:
  explicit EpollUnwatchedFiles(WatchTable<EpollWatch>& watches) : watches_(watches) {}

  // Some file was not FileKind::kWatched: few programs have one.
  bool has_had_any() const { return has_had_any_; }

  // report() has a file to report or to poll.
  bool any_listed() const { return !listed_.empty(); }

  // The next report() handles the file of this watch.
  void list(std::uint32_t slot, EpollWatch& watch);

  // epoll has refused the file.
  void add_always_ready(std::uint32_t slot, EpollWatch& watch);

  // Before the registration of a watch with priority events. If its file is of kClearedByPoll,
  // registering it clears a change, so this function fetches the change first.
  void poll_before_registering(std::uint32_t slot, EpollWatch& watch);

  // Before the changes are applied: a listed descriptor may refer to another file by now.
  void recheck();

  // After the changes are applied: appends the events of the listed files.
  void report(std::vector<FdEvent>& ready);

  // epoll has reported these events of a file of kClearedByPoll. Returns false if the key is dead.
  bool deliver(Key key, Events events, std::vector<FdEvent>& ready);

 private:
  WatchTable<EpollWatch>& watches_;
  std::vector<std::uint32_t> listed_;  // slots
  bool has_had_any_ = false;
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_EPOLL_UNWATCHED_FILES_H_
