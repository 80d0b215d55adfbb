// RunSlice: how many queued nodes run() calls, and for how long, before it probes the kernel and
// the timers again.
//
// The bound is a number of nodes, and a time. The clock is read after 32 nodes at the latest. After
// the first reading the slice knows what a node takes, and reads the clock more often if nodes are
// long, so that a slice ends at most one node after its time, unless the nodes become longer in the
// middle of it. Short nodes pay for two readings of the clock in a slice, or for none.
//
// Threads: the home thread.

#ifndef COAIO_RUNTIME_RUN_SLICE_H_
#define COAIO_RUNTIME_RUN_SLICE_H_

#include <algorithm>
#include <chrono>

#include "runtime/time/clock.h"

namespace coaio::internal {

class RunSlice {
 public:
  RunSlice(const Clock& clock, unsigned nodes, std::chrono::nanoseconds time)
      : clock_(clock), nodes_(std::max(nodes, 1U)), time_(time) {}

  // A slice begins: the loop has just looked at the kernel.
  void begin() {
    spent_ = false;
    nodes_left_ = nodes_;
    read_ = false;
    stride_ = kMaxStride;
    if (long_nodes_) [[unlikely]] {
      start(clock_.now());
    }
    take(stride_);
  }

  // Before each node: whether it may run in this slice.
  bool may_run() {
    if (credit_ == 0 && !renew()) [[unlikely]] {
      spent_ = true;
      return false;
    }
    --credit_;
    return true;
  }

  // Whether the slice has refused a node.
  bool spent() const { return spent_; }

 private:
  static constexpr unsigned kMaxStride = 32;

  void start(TimePoint now) {
    read_ = true;
    last_ = now;
    end_ = saturating_add(now, time_);
    stride_ = 1;
  }

  // The nodes that run without another look at the clock.
  void take(unsigned stride) {
    taken_ = std::min(stride, nodes_left_);
    credit_ = taken_;
    nodes_left_ -= taken_;
  }

  [[gnu::noinline]] bool renew() {
    if (spent_) {
      return false;
    }
    const TimePoint now = clock_.now();
    if (!read_) {
      start(now);
    } else {
      const std::chrono::nanoseconds each = (now - last_) / std::max(taken_, 1U);
      // A slice that is shorter than 64 nodes needs a clock reading at its begin.
      long_nodes_ = each >= time_ / (2 * kMaxStride);
      last_ = now;
      if (now >= end_) {
        return false;
      }
      const auto left = each.count() <= 0 ? kMaxStride : (end_ - now) / each;
      stride_ = static_cast<unsigned>(std::clamp<decltype(left)>(left, 1, kMaxStride));
    }
    if (nodes_left_ == 0) {
      return false;
    }
    take(stride_);
    return true;
  }

  const Clock& clock_;
  const unsigned nodes_;
  const std::chrono::nanoseconds time_;
  unsigned credit_ = 0;      // nodes until the next clock reading
  unsigned taken_ = 0;       // nodes between the last two clock readings
  unsigned nodes_left_ = 0;  // besides the credit
  unsigned stride_ = kMaxStride;
  bool read_ = false;  // the clock, in this slice
  bool spent_ = false;
  bool long_nodes_ = false;  // in the last slice
  TimePoint last_{};
  TimePoint end_{};
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_RUN_SLICE_H_
