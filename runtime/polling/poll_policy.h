// PollPolicy: for how long a context polls in user space before it sleeps in the kernel.
//
//   auto context = Context::create({.polling = PollLearned{}});
//
// While work keeps coming within the budget, the thread never sleeps and is as fast as a busy loop.
// An idle context sleeps and uses no CPU time, with PollFixed after one poll.
//
// One poll of any policy takes at most a quarter of the polling time that
// ContextOptions::polling_share allows in 100 ms, and at most 5 ms. The loop shortens each longer
// budget to this limit.
//
// Threads: any; a policy is a value.
// Errors: Context::create() returns the status of validate(); Context::set_polling() checks it.

#ifndef COAIO_RUNTIME_POLLING_POLL_POLICY_H_
#define COAIO_RUNTIME_POLLING_POLL_POLICY_H_

#include <chrono>
#include <cstdint>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coaio {

// Sleep at once.
struct PollOff {};

// Poll for `max` before each sleep, whether or not polling has found anything before. Rare events
// cost `max` of CPU time each.
struct PollFixed {
  std::chrono::nanoseconds max{0};
};

// The budget starts at 4 µs. A wait longer than the budget and within `max` multiplies the budget
// by `grow` (0 means 2). A wait longer than `max` divides the budget by `shrink` (0 sets the budget
// to 0). Each other wait leaves the budget as it is.
//
// The measured length of a wait that slept includes the cost of the wake-up (8 to 70 µs on a
// virtual machine). `max` must therefore exceed the time to the next event plus this cost.
struct PollGrowShrink {
  std::chrono::nanoseconds max = std::chrono::microseconds(128);
  unsigned grow = 2;
  unsigned shrink = 0;
};

// The budget with the least expected cost over the recent waits (docs/adaptive-polling.md).
struct PollLearned {
  // How many nanoseconds of CPU time one nanosecond of latency is worth. 3 polls through gaps of
  // about 50 µs on a virtual machine; 1 saves CPU, 10 polls through 200 µs.
  std::uint32_t latency_weight = 3;

  // By how much a wake from sleep delays an event. Zero: it is measured once per process, and each
  // context follows it by the lateness of its own timers.
  std::chrono::nanoseconds wake_cost{0};

  // Whether to sleep through the first part of a wait and to poll through the rest, if events come
  // at steady intervals that are too long to poll for (late_polling.h).
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
