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
// It has no clock: times go in. It makes a system call once in 50 ms of polling, and after 32 polls
// that proved nothing.
//
// Threads: one at a time.

#ifndef COAIO_RUNTIME_POLLING_POLL_GUARD_H_
#define COAIO_RUNTIME_POLLING_POLL_GUARD_H_

#include <algorithm>
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

  // The longest poll that the share and the quota ever allow, as far as the quota is known.
  std::chrono::nanoseconds longest_grant() const {
    return std::min(share_.longest_grant(), quota_share_.longest_grant());
  }

  // Whether a poll of this length may begin.
  bool grants(TimePoint now, std::chrono::nanoseconds budget);

  // Whether polling has a limit, against which all of it counts.
  bool is_limited() const { return share_.limits() || users_ != 0; }

  // False if all but the share of the user is ignored.
  bool is_enabled() const { return environment_.calling_thread != nullptr; }

  // Whether a poll may go on after probes that found nothing.
  bool may_continue(TimePoint now, const PollRecord& poll) {
    return poll.duration() - noted_.polled < kExamined || uncontended(now, poll);
  }

  // Charges a poll. Called after each one, also after the poll before a timer.
  void spend(TimePoint now, const PollRecord& poll);

  // Judges the poll of a wait that an event ended. `slept`: for how long the loop slept after the
  // poll. If the sleep was longer than the poll, the event was simply far away, and says nothing
  // about the CPU of its sender. A wait that a timer ended says nothing either.
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
  void pause(TimePoint now, std::uint64_t& counter);

  const PollEnvironment environment_;
  PollGuardStats& stats_;
  PollCap share_;
  PollCap quota_share_;
  double quota_ = 0;  // 0: not yet asked for
  int users_ = 0;     // of the quota, when quota_share_ was set
  TimePoint paused_until_{};

  Polled window_;  // since the last examination
  Polled noted_;   // the part of the poll in progress that window_ has already
  std::uint64_t switches_ = 0;

  std::chrono::nanoseconds unproven_time_{0};  // since the last event that was found by polling
  unsigned unproven_polls_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_GUARD_H_
