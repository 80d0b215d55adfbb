// PollCap: the share of a CPU that polling may take.
//
// A token bucket that holds 5 ms of polling, unless it is told otherwise: over any 100 ms polling
// takes at most share * 100 ms + 5 ms. All or nothing: a budget that is not covered is not granted
// at all, for a shortened one costs CPU and rarely meets its event.
//
// It has no clock: times go in.

#ifndef COAIO_RUNTIME_POLL_CAP_H_
#define COAIO_RUNTIME_POLL_CAP_H_

#include <algorithm>
#include <chrono>

#include "runtime/clock.h"

namespace coaio {

class PollCap {
 public:
  // From 0, no polling, to 1, no cap.
  explicit PollCap(double share = 1.0, std::chrono::nanoseconds burst = kBurst)
      : share_(std::clamp(share, 0.0, 1.0)), burst_(burst), tokens_(burst) {}

  // From now on.
  void limit(double share, std::chrono::nanoseconds burst) {
    share_ = std::clamp(share, 0.0, 1.0);
    burst_ = burst;
    tokens_ = std::min(tokens_, burst_);
  }

  bool limits() const { return share_ < 1.0; }

  // Whether polling may go on for this long.
  bool grants(TimePoint now, std::chrono::nanoseconds budget) {
    if (!limits()) {
      return true;
    }
    const std::chrono::duration<double, std::nano> earned = (now - last_) * share_;
    tokens_ =
        std::min(tokens_ + std::chrono::duration_cast<std::chrono::nanoseconds>(earned), burst_);
    last_ = now;
    return share_ > 0.0 && budget <= tokens_;
  }

  // It went on for this long.
  void spend(std::chrono::nanoseconds polled) { tokens_ -= polled; }

 private:
  static constexpr std::chrono::nanoseconds kBurst = std::chrono::milliseconds(5);

  double share_;
  std::chrono::nanoseconds burst_;
  std::chrono::nanoseconds tokens_;
  TimePoint last_{};
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLL_CAP_H_
