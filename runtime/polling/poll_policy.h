// PollPolicy: for how long a context looks for work in user space before it blocks.
//
//   auto context = Context::create({.polling = PollLearned{}});
//
// While work keeps coming within the budget, the thread never sleeps and is as fast as a busy loop;
// when it stops coming, the budget collapses and an idle context uses no CPU.

#ifndef COAIO_RUNTIME_POLLING_POLL_POLICY_H_
#define COAIO_RUNTIME_POLLING_POLL_POLICY_H_

#include <chrono>
#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio {

// Block at once.
struct PollOff {};

// Look for `max` before each wait that blocks, whatever came of it. A context that waits without
// end between rare events burns `max` for each of them, and no more.
struct PollFixed {
  std::chrono::nanoseconds max{0};
};

// Start at 4 µs. After a wait that was longer than the budget but shorter than `max`, multiply by
// `grow` (0 means 2); after one longer than `max`, divide by `shrink` (0 means: to nothing).
//
// `max` has to exceed the time to the next event plus the cost of a wake from sleep (15 to 70 µs on
// a virtual machine): a blocked wait is longer by that cost, and would not seem to fit otherwise.
struct PollGrowShrink {
  std::chrono::nanoseconds max = std::chrono::microseconds(128);
  unsigned grow = 2;
  unsigned shrink = 0;
};

// The budget with the least expected cost over the recent waits; see learned_budget.h.
struct PollLearned {
  // How many nanoseconds of CPU time one nanosecond of latency is worth. 3 polls through gaps of
  // about 50 µs on a virtual machine; 1 saves CPU, 10 polls through 200 µs.
  std::uint32_t latency_weight = 3;

  // By how much a wake from sleep delays an event. Zero: measured, once per process, and followed.
  std::chrono::nanoseconds wake_cost{0};

  // Whether to sleep through the first part of a wait whose event comes at steady intervals, and to
  // poll through the rest (late_polling.h).
  bool late = false;
};

using PollPolicy = std::variant<PollOff, PollFixed, PollGrowShrink, PollLearned>;

// kInvalidArgument if a duration is negative; the message names it.
absl::Status validate(const PollPolicy& policy);

// "off", "fixed:MAX", "grow_shrink:MAX" with MAX in microseconds, "learned" or "learned:WEIGHT",
// "learned_late" or "learned_late:WEIGHT": for command lines. Anything else is kInvalidArgument.
absl::StatusOr<PollPolicy> parse_poll_policy(absl::string_view text);

}  // namespace coaio

#endif  // COAIO_RUNTIME_POLLING_POLL_POLICY_H_
