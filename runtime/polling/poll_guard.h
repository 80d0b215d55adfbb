// PollGuard: whether a context may poll now. Polling must not hurt, whatever the policy says.
//
// Four things forbid it:
// - The share of a CPU that the user allows is spent (poll_cap.h).
// - The CPU quota of the cgroup is at stake: all contexts of the process together poll for at most
//   half of it over any 100 ms, or the process would be stopped in the middle of its work.
// - Other threads want the CPU: the kernel took it from the loop for a quarter of the time that the
//   loop polled. Then this context does not poll for a second.
// - The thread may run on one CPU only, and its events come soon after it has gone to sleep, or
//   while the CPU was taken from it: the partner needs this CPU to answer. Then this context does
//   not poll for a second.
//
// No clock: times go in. It asks the kernel seldom: once in 50 ms of polling, and after 32 polls
// that proved nothing.
//
// Threads: one at a time.

#ifndef COAIO_RUNTIME_POLLING_POLL_GUARD_H_
#define COAIO_RUNTIME_POLLING_POLL_GUARD_H_

#include <chrono>
#include <cstdint>

#include "runtime/polling/poll_cap.h"
#include "runtime/polling/poll_environment.h"
#include "runtime/polling/poll_record.h"
#include "runtime/polling/poll_stats.h"
#include "runtime/time/clock.h"

namespace coaio::internal {

class PollGuard {
 public:
  PollGuard(double share, const PollEnvironment& environment, PollGuardStats& stats)
      : environment_(environment), stats_(stats), share_(share) {}
  PollGuard(const PollGuard&) = delete;
  PollGuard& operator=(const PollGuard&) = delete;
  ~PollGuard();

  // The share of a CPU, from now on.
  void set_share(double share) { share_ = PollCap(share); }

  // The longest budget that the share allows.
  std::chrono::nanoseconds longest_grant() const { return share_.longest_grant(); }

  // Whether a poll of this length may begin.
  bool grants(TimePoint now, std::chrono::nanoseconds budget);

  // Whether polling has a limit, against which all of it counts.
  bool is_limited() const { return share_.limits() || users_ != 0; }

  // False if all but the share of the user is ignored.
  bool is_enabled() const { return environment_.calling_thread != nullptr; }

  // After looks that found nothing: whether the poll may go on.
  bool may_continue(TimePoint now, const PollRecord& poll) {
    return poll.duration() - noted_.polled < kExamined || uncontended(now, poll);
  }

  // After the poll, also after one for a timer.
  void spend(TimePoint now, const PollRecord& poll);

  // After a wait that an event ended: the poll of the wait, and for how long the loop slept after
  // it. If the sleep was longer than the poll, the event was simply far away, and says nothing
  // about the CPU of its sender; nor does a wait that a timer ended.
  void record_outcome(TimePoint now, const PollRecord& poll, std::chrono::nanoseconds slept);

 private:
  static constexpr std::chrono::nanoseconds kExamined = std::chrono::milliseconds(50);

  struct Polled {
    std::chrono::nanoseconds polled{0};
    std::chrono::nanoseconds gaps{0};
  };

  void read_environment();
  bool quota_grants(TimePoint now, std::chrono::nanoseconds budget);
  void divide_quota(int users);
  void note(const PollRecord& poll);
  bool uncontended(TimePoint now, const PollRecord& poll);
  void examine(TimePoint now);
  void pause(TimePoint now, std::uint64_t& figure);

  const PollEnvironment environment_;
  PollGuardStats& stats_;
  PollCap share_;
  PollCap quota_share_;
  double quota_ = 0;  // 0: not yet asked for
  int users_ = 0;     // of the quota, when quota_share_ was set
  TimePoint paused_until_{};

  Polled window_;  // since the last examination
  Polled noted_;   // of the poll in progress, what is in the window already
  std::uint64_t switches_ = 0;

  std::chrono::nanoseconds unproven_time_{0};  // since the last event that was found by polling
  unsigned unproven_polls_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_GUARD_H_
