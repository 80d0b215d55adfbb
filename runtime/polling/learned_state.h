// LearnedState: the poll budget of the policy PollLearned. It holds a WaitHistogram, the cost of a
// wake, and late polling if the policy asks for it.
//
// It has no clock: durations go in, durations come out.

#ifndef COAIO_RUNTIME_POLLING_LEARNED_STATE_H_
#define COAIO_RUNTIME_POLLING_LEARNED_STATE_H_

#include <chrono>
#include <optional>

#include "runtime/polling/late_polling.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_histogram.h"
#include "runtime/polling/wait_outcome.h"
#include "runtime/polling/wake_cost.h"

namespace coaio::internal {

class LearnedState {
 public:
  explicit LearnedState(const PollLearned& policy);

  std::chrono::nanoseconds budget() const { return histogram_.budget(); }
  std::chrono::nanoseconds timer_tail(std::chrono::nanoseconds rest) const;
  std::optional<LatePolling::Window> late_window() const;
  void set_longest(std::chrono::nanoseconds longest) { histogram_.set_longest(longest); }
  void waited(const WaitOutcome& wait);
  void woke_late(std::chrono::nanoseconds sleep, std::chrono::nanoseconds late);

 private:
  bool measures_wake_cost_;  // false if the policy gives it
  WakeCost wake_cost_;
  WaitHistogram histogram_;
  std::optional<LatePolling> late_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_LEARNED_STATE_H_
