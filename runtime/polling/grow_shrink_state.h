// GrowShrinkState: the poll budget of the policy PollGrowShrink.
//
// It has no clock: durations go in, durations come out.

#ifndef COAIO_RUNTIME_POLLING_GROW_SHRINK_STATE_H_
#define COAIO_RUNTIME_POLLING_GROW_SHRINK_STATE_H_

#include <chrono>

#include "runtime/polling/poll_policy.h"

namespace coaio::internal {

class GrowShrinkState {
 public:
  explicit GrowShrinkState(const PollGrowShrink& rule) : rule_(rule) {}

  std::chrono::nanoseconds budget() const { return budget_; }
  void waited(std::chrono::nanoseconds duration);

 private:
  void grow();

  PollGrowShrink rule_;
  std::chrono::nanoseconds budget_{0};
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_GROW_SHRINK_STATE_H_
