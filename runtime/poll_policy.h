// PollPolicy: for how long a context looks for work in user space before it blocks.
//
//   auto context = Context::create({.polling = PollGrowShrink{.max = 128us}});
//
// While work keeps coming within the budget, the thread never sleeps and is as fast as a busy loop;
// when it stops coming, the budget collapses and an idle context uses no CPU.

#ifndef COAIO_RUNTIME_POLL_POLICY_H_
#define COAIO_RUNTIME_POLL_POLICY_H_

#include <chrono>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio {

// Block at once.
struct PollOff {};

// Look for `max` before each wait that blocks, whatever came of it. A context that waits without end
// between rare events burns `max` for each of them, and no more.
struct PollFixed {
  std::chrono::nanoseconds max{0};
};

// Start at 4 µs. After a wait that was longer than the budget but shorter than `max`, multiply by
// `grow` (0 means 2); after one longer than `max`, divide by `shrink` (0 means: to nothing).
//
// `max` has to exceed the time to the next event plus the cost of a wake from sleep (15 to 70 µs on a
// virtual machine): a blocked wait is longer by that cost, and would not seem to fit otherwise.
struct PollGrowShrink {
  std::chrono::nanoseconds max = std::chrono::microseconds(128);
  unsigned grow = 2;
  unsigned shrink = 0;
};

using PollPolicy = std::variant<PollOff, PollFixed, PollGrowShrink>;

// "off", "fixed:MAX" or "grow_shrink:MAX", with MAX in microseconds: for command lines. Anything else is
// kInvalidArgument.
absl::StatusOr<PollPolicy> parse_poll_policy(absl::string_view text);

// The state of a policy. It has no clock: durations go in, durations come out.
class PollBudget {
 public:
  explicit PollBudget(const PollPolicy& policy = PollOff{}) : policy_(policy) {}

  // How long to look before the next wait. Zero: block at once.
  std::chrono::nanoseconds budget() const;

  // A wait ended after this long, the looking included and the handlers not.
  void waited(std::chrono::nanoseconds duration);

  // Whether waited() matters: a policy without memory spares the loop two clock reads.
  bool learns() const { return std::holds_alternative<PollGrowShrink>(policy_); }

 private:
  PollPolicy policy_;
  std::chrono::nanoseconds window_{0};  // of PollGrowShrink
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLL_POLICY_H_
