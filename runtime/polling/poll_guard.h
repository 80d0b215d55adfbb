// PollGuard: whether a context may poll now. Polling must not hurt, whatever the policy says.
//
// Four things forbid it:
// - The share of a CPU that the user allows is spent (poll_cap.h).
// - The CPU quota of the cgroup is at stake: all contexts of the process together poll for at most
//   half of it over any 100 ms, or the process would be stopped in the middle of its work.
// - Others want the CPU: it was taken from the loop, against its will, for a quarter of the time
//   that it polled. Then nobody polls for a second.
// - The thread may run on one CPU only, and whatever comes does so soon after the thread has gone
//   to sleep, or while the CPU was taken from it: the partner needs this CPU to answer. Then nobody
//   polls for a second.
//
// No clock: times go in. It asks the kernel seldom: once in 50 ms of polling, and after 32 polls
// that proved nothing.
//
// Threads: one at a time.

#ifndef COAIO_RUNTIME_POLLING_POLL_GUARD_H_
#define COAIO_RUNTIME_POLLING_POLL_GUARD_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "runtime/polling/poll_cap.h"
#include "runtime/time/clock.h"

namespace coaio {

struct PollGuardStats {
  std::uint64_t over_share = 0;  // polls that were not made: the share of the user was spent,
  std::uint64_t over_quota = 0;  // the quota of the cgroup was at stake
  std::uint64_t crowded = 0;     // pauses of a second: others wanted the CPU,
  std::uint64_t shared_cpu = 0;  // the partner needed it
};

// One poll, by the readings of the clock in it. An event that was there before the first of them
// cost nothing, and says nothing.
class PollRecord {
 public:
  // After some of the looks: the time since the first one began, and whether this one found
  // something.
  void looked(std::chrono::nanoseconds since_begin, bool found) {
    last_step_ = since_begin - duration_;
    shortest_step_ = std::min(shortest_step_, last_step_);
    duration_ = since_begin;
    found_ = found;
    if (interrupted()) {
      gaps_ += last_step_;
    }
  }

  std::chrono::nanoseconds duration() const { return duration_; }
  // Of it, for how long something else had the CPU: another thread, an interrupt, a hypervisor.
  //
  // A look that was long by itself would be taken for a gap, and not be charged. That is the one
  // that finds something, whose cost is that of the event and not of polling, and the first one
  // after a sleep, whose memory is cold, once for each poll. A look that takes long each time makes
  // the shortest one long. There remains a poll source whose poll() is slow now and then, which its
  // contract forbids. To charge gaps instead would let one preemption of some milliseconds use up
  // the share, and to tell the two apart costs a system call for each poll.
  std::chrono::nanoseconds gaps() const { return gaps_; }
  // The rest, which is what polling costs.
  std::chrono::nanoseconds taken() const { return duration_ - gaps_; }

  bool timed() const { return duration_ != std::chrono::nanoseconds(0); }
  // Not while the CPU was taken from us: the event came from elsewhere.
  bool found_by_polling() const { return found_ && !interrupted(); }

 private:
  // A look takes well below a microsecond, but more with ppoll and many descriptors. Two switches
  // of threads and the shortest answer between them take more than five.
  bool interrupted() const {
    return last_step_ > std::chrono::microseconds(5) && last_step_ > 4 * shortest_step_;
  }

  std::chrono::nanoseconds duration_{0};
  std::chrono::nanoseconds gaps_{0};
  std::chrono::nanoseconds last_step_{0};
  std::chrono::nanoseconds shortest_step_ = std::chrono::nanoseconds::max() / 4;
  bool found_ = false;
};

// What the guard asks the kernel.
struct PollEnvironment {
  struct Thread {
    std::uint64_t involuntary_switches = 0;  // so far
    bool one_cpu = false;                    // it may run on one CPU only
  };

  double (*cpu_quota)() = nullptr;
  Thread (*calling_thread)() = nullptr;

  static PollEnvironment real();
  static PollEnvironment ignored() { return {}; }  // only the share of the user limits the polling
};

class PollGuard {
 public:
  PollGuard(double share, const PollEnvironment& surroundings, PollGuardStats& stats)
      : surroundings_(surroundings), stats_(stats), share_(share) {}
  PollGuard(const PollGuard&) = delete;
  PollGuard& operator=(const PollGuard&) = delete;
  ~PollGuard();

  // Of a CPU, from now on.
  void set_share(double share) { share_ = PollCap(share); }

  // Whether a poll of this length may begin.
  bool grants(TimePoint now, std::chrono::nanoseconds budget);

  // Whether polling has a limit, against which all of it counts.
  bool meters() const { return share_.limits() || users_ != 0; }

  // False if all but the share of the user is ignored.
  bool watches() const { return surroundings_.calling_thread != nullptr; }

  // After looks that found nothing: whether the poll may go on.
  bool goes_on(TimePoint now, const PollRecord& poll) {
    return poll.duration() - noted_.polled < kExamined || still_alone(now, poll);
  }

  // After the poll, also after one for a timer.
  void spend(TimePoint now, const PollRecord& poll);

  // After a wait that an event ended: whether the poll for it found it, and how, and for how long
  // the loop slept after that. An event that never came says nothing about where its sender runs,
  // nor does one that took longer than the poll lasted: it was simply far away.
  void judge(TimePoint now, const PollRecord& poll, std::chrono::nanoseconds slept);

 private:
  static constexpr std::chrono::nanoseconds kExamined = std::chrono::milliseconds(50);

  struct Polled {
    std::chrono::nanoseconds polled{0};
    std::chrono::nanoseconds gaps{0};
  };

  void meet_surroundings();
  bool quota_grants(TimePoint now, std::chrono::nanoseconds budget);
  void divide_quota(int users);
  void note(const PollRecord& poll);
  bool still_alone(TimePoint now, const PollRecord& poll);
  void examine(TimePoint now);
  void pause(TimePoint now, std::uint64_t& figure);

  const PollEnvironment surroundings_;
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

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLLING_POLL_GUARD_H_
