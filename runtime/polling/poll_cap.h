// PollCap: the share of a CPU that polling may take, over any 100 ms.
//
// A token bucket. Its capacity and what flows into it within 100 ms add up to the share of 100 ms.
// A budget is granted whole or not at all, because a shortened poll costs CPU time and rarely lasts
// until its event.
//
// It has no clock: times go in.

#ifndef COAIO_RUNTIME_POLLING_POLL_CAP_H_
#define COAIO_RUNTIME_POLLING_POLL_CAP_H_

#include <algorithm>
#include <chrono>

#include "runtime/time/clock.h"

namespace coaio::internal {

class PollCap {
 public:
  // 0: no polling; 1: no cap.
  explicit PollCap(double share = 1.0) { limit(share); }

  // Changes the share. What was polled without a limit is not owed.
  void limit(double share) {
    share_ = std::clamp(share, 0.0, 1.0);
    const std::chrono::duration<double, std::nano> allowed = share_ * kWindow;
    burst_ =
        std::min(kLongestBurst,
                 std::chrono::duration_cast<std::chrono::nanoseconds>(allowed * kBurstOfAllowed));
    flow_ = (allowed - burst_) / kWindow;
    tokens_ = std::min(tokens_, burst_);
  }

  bool limits() const { return share_ < 1.0; }

  // The longest budget that is ever granted.
  std::chrono::nanoseconds longest_grant() const {
    return limits() ? burst_ : std::chrono::nanoseconds::max();
  }

  // Whether polling may go on for this long.
  bool grants(TimePoint now, std::chrono::nanoseconds budget) {
    if (!limits()) {
      return true;
    }
    const std::chrono::duration<double, std::nano> earned = (now - last_) * flow_;
    tokens_ =
        std::min(tokens_ + std::chrono::duration_cast<std::chrono::nanoseconds>(earned), burst_);
    last_ = now;
    return share_ > 0.0 && budget <= tokens_;
  }

  // The poll took this long.
  void spend(std::chrono::nanoseconds polled) {
    if (limits()) {
      tokens_ -= polled;
    }
  }

 private:
  static constexpr std::chrono::nanoseconds kWindow = std::chrono::milliseconds(100);
  // The capacity is a quarter of the share of 100 ms, and at most 5 ms. If it were all of it,
  // nothing would flow in, and polling would stop for long after each burst.
  static constexpr std::chrono::nanoseconds kLongestBurst = std::chrono::milliseconds(5);
  static constexpr double kBurstOfAllowed = 0.25;

  double share_ = 1.0;
  double flow_ = 1.0;  // of a CPU
  std::chrono::nanoseconds burst_{0};
  std::chrono::nanoseconds tokens_ = kLongestBurst;
  TimePoint last_{};
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_CAP_H_
