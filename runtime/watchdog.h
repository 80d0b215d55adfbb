// Watchdog: says which callback, or which task, keeps a loop from going on.
//
//   const auto report = [](const std::string& sentence) { ... };
//   Watchdog watchdog(context, {.limit = 100ms, .report = report});
//
//   the handler of descriptor 7 ("listener") has been running for 120 ms
//   a task that waited for descriptor 9 has been running for 120 ms
//   the bottom half "flush" has been running for 1000 ms, and waits in a turn that it nests
//
// The third sentence is typical of a deadlock: a callback runs a nested turn and waits there for an
// outer callback, which cannot continue before the nested turn returns. A callback that exceeds the
// limit is reported once. A loop that sleeps because it has no work is not reported.
//
// Names: those of BottomHalf, IdleBottomHalf, Timer, WallTimer, PollSource and FdHandlers, of which
//   the first 63 bytes are shown. What has no name is told by its kind, and by its descriptor. A
//   task is told by what has resumed it: a descriptor, a timer, a poll source, or the queue ("a
//   task"); its stack shows where it is.
// Threads: made and destroyed on the home thread, or before there is one; check() anywhere, one
//   thread at a time. `report` is called by the thread that checks.
// Lifetime: the context outlives it. One for each context. In a forked child it can be destroyed,
//   and does nothing else.

#ifndef COAIO_RUNTIME_WATCHDOG_H_
#define COAIO_RUNTIME_WATCHDOG_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/activity.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"

namespace coaio {

struct WatchdogOptions {
  // How long a callback may take.
  Duration limit = std::chrono::seconds(1);

  // Empty: to the sink of the context, on the thread that checks.
  std::function<void(const std::string&)> report;

  // Checks from a thread of its own, four times in each limit. False: the program calls check().
  bool own_thread = true;

  // Null: CLOCK_MONOTONIC. Outlives the watchdog.
  const Clock* clock = nullptr;
};

class Watchdog {
 public:
  explicit Watchdog(Context& context, WatchdogOptions options = {});
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  // Reports each callback for which more than the limit has passed since a check first found the
  // callback running. The time before that check is not counted.
  void check();

 private:
  struct Seen {
    std::uint64_t number = 0;
    TimePoint since;
    bool reported = false;
  };

  void check_until_ended();
  void abandon_thread();

  Context& context_;
  WatchdogOptions options_;
  const internal::Activity& activity_;
  std::array<Seen, internal::Activity::kDepth> seen_;

  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_WATCHDOG_H_
