// PollRecord: one stretch of user-space polling, as the clock readings in it show it.

#ifndef COAIO_RUNTIME_POLLING_POLL_RECORD_H_
#define COAIO_RUNTIME_POLLING_POLL_RECORD_H_

#include <algorithm>
#include <chrono>

namespace coaio::internal {

// One poll, by the readings of the clock in it. An event that was there before the first of them
// cost nothing, and says nothing.
class PollRecord {
 public:
  // After some of the looks: the time since the first one began, and whether this one found
  // something.
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

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_RECORD_H_
