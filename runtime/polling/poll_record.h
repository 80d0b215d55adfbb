// PollRecord: one poll in user space, as the readings of the clock in it show it.

#ifndef COAIO_RUNTIME_POLLING_POLL_RECORD_H_
#define COAIO_RUNTIME_POLLING_POLL_RECORD_H_

#include <algorithm>
#include <chrono>

namespace coaio::internal {

// An event that was there before the first reading cost nothing, and proves nothing.
class PollRecord {
 public:
  // Called after some of the probes. `since_begin`: the time since the first probe began; `found`:
  // whether this probe found something.
  void probed(std::chrono::nanoseconds since_begin, bool found) {
    last_step_ = since_begin - duration_;
    shortest_step_ = std::min(shortest_step_, last_step_);
    duration_ = since_begin;
    found_ = found;
    if (interrupted()) {
      gaps_ += last_step_;
    }
  }

  std::chrono::nanoseconds duration() const { return duration_; }
  // For how much of the duration something else had the CPU: another thread, an interrupt, a
  // hypervisor.
  //
  // A probe that is long by itself is taken for a gap, and is not charged. This concerns
  // - the probe that finds something, whose cost is that of the event and not of polling;
  // - the first probe after a sleep, whose memory is cold, once for each poll;
  // - a poll source whose poll() is slow now and then, which its contract forbids.
  // Probes that are all long make shortest_step_ long, so they are charged. If gaps were charged,
  // one preemption of some milliseconds would use up the share; telling the two apart would cost a
  // system call for each poll.
  std::chrono::nanoseconds gaps() const { return gaps_; }
  // What the poll cost: the duration without the gaps.
  std::chrono::nanoseconds taken() const { return duration_ - gaps_; }

  bool timed() const { return duration_ != std::chrono::nanoseconds(0); }
  // False if the thread had lost the CPU when the event came: its sender may need this CPU.
  bool found_by_polling() const { return found_ && !interrupted(); }

 private:
  // A probe takes well below a microsecond, but more with ppoll and many file descriptors. Two
  // switches of threads and the shortest answer between them take more than five microseconds.
  bool interrupted() const {
    return last_step_ > std::chrono::microseconds(5) && last_step_ > 4 * shortest_step_;
  }

  std::chrono::nanoseconds duration_{0};
  std::chrono::nanoseconds gaps_{0};
  std::chrono::nanoseconds last_step_{0};
  std::chrono::nanoseconds shortest_step_ = std::chrono::nanoseconds::max() / 4;
  bool found_ = false;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_RECORD_H_
