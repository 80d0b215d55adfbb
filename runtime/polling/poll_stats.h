// PollStats: what a context counts about its polling. A part of ContextStats.

#ifndef COAIO_RUNTIME_POLLING_POLL_STATS_H_
#define COAIO_RUNTIME_POLLING_POLL_STATS_H_

#include <chrono>
#include <cstdint>

namespace coaio {

// What kept the loop from polling.
struct PollGuardStats {
  // Polls that were not made, because the share of ContextOptions::polling_share was spent.
  std::uint64_t over_share = 0;

  // Polls that were not made, because they would have used up the CPU quota of the cgroup.
  std::uint64_t over_quota = 0;

  // Pauses of one second, because other threads wanted the CPU.
  std::uint64_t crowded = 0;

  // Pauses of one second, because the thread that sends the events needed the CPU.
  std::uint64_t shared_cpu = 0;
};

struct PollStats {
  // How often the loop polled in user space before a wait, and how often it found work by that.
  std::uint64_t polls = 0;
  std::uint64_t poll_hits = 0;

  // The time of all polling, which is nearly its CPU time.
  std::chrono::nanoseconds polled{0};

  PollGuardStats guard;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLLING_POLL_STATS_H_
