// Watcher: waits on a monitor within bounds, so that a lost event fails a test instead of hanging
// it.

#ifndef COAIO_TESTS_SUPPORT_WATCHER_H_
#define COAIO_TESTS_SUPPORT_WATCHER_H_

#include <cstddef>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"

namespace coaio::testing {

// All directions, as an edge-triggered watch is armed.
inline constexpr Events kAllDirections =
    Events::kIn | Events::kOut | Events::kReadHangUp | Events::kPriority;

inline constexpr Trigger kAllTriggers[] = {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge};

class Watcher {
 public:
  explicit Watcher(FdMonitor& monitor) : monitor_(monitor) {}

  // What the first wait that reports something reports. Fails after ten seconds of silence.
  std::vector<FdEvent> next();

  // The same, for one key: other keys fail.
  Events next_of(Key key);

  // What waits without sleeping report until they report nothing. Fails if they never stop.
  std::vector<FdEvent> drain();

  // The same, without looking at what it was: the watches have settled.
  void settle() { drain(); }

  // Nothing is ready, and a wait with a timeout sleeps: a wake-up without a report is not quiet.
  bool quiet();

 private:
  std::vector<FdEvent> wait_now();
  bool sleeps();

  FdMonitor& monitor_;
};

std::size_t count_of(const std::vector<FdEvent>& ready, Key key);

// All that was reported of this key.
Events events_of(const std::vector<FdEvent>& ready, Key key);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_WATCHER_H_
