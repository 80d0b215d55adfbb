// WaitHistogram: a poll budget from the distribution of the recent waits.
//
// Polling for a time T costs CPU time. Sleeping instead costs the latency of a wake, once for each
// event that comes within T. `latency_weight` says how many nanoseconds of CPU time one nanosecond
// of latency is worth. With it, every T has an expected cost over the recent waits, and the budget
// is the cheapest T.
//
// Three rules keep the estimate right:
// - A wait with a sleep is longer than the same wait with polling, by the wake cost. This cost is
//   subtracted, or the policy would never poll again once it has slept.
// - The policy explores: a few waits are polled although the model advises against it, because only
//   a poll that finds its event measures a wait exactly. So a wake cost that is too small does no
//   lasting harm.
// - The policy keeps an account of what polling gains and loses, and pauses when polling loses.
//   Polling delays the event itself when the partner needs this CPU.
//
// The numbers and rules come from the experiments in docs/decisions.md ("Learned polling"). The
// class has integers only, allocates nothing, and has no clock: durations go in.

#ifndef COAIO_RUNTIME_POLLING_WAIT_HISTOGRAM_H_
#define COAIO_RUNTIME_POLLING_WAIT_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace coaio::internal {

class WaitHistogram {
 public:
  // `wake_cost`: by how much a wake from sleep delays an event. Err on the low side.
  WaitHistogram(std::uint32_t latency_weight, std::chrono::nanoseconds wake_cost);

  // For how long to poll before the next wait.
  std::chrono::nanoseconds budget() const { return std::chrono::nanoseconds(next_ns_); }

  std::chrono::nanoseconds wake_cost() const { return std::chrono::nanoseconds(wake_cost_ns_); }
  std::chrono::nanoseconds miss_cost() const { return std::chrono::nanoseconds(miss_cost_ns_); }

  // Corrects the wake cost.
  void set_wake_cost(std::chrono::nanoseconds wake_cost);

  // No budget is longer than this from now on.
  void set_longest(std::chrono::nanoseconds longest);

  // The event came after this time of polling.
  void hit(std::chrono::nanoseconds after);

  // The event did not come in `polled`, which is zero if the loop did not poll. The thread slept,
  // and the event came `after`: the wait without the wake cost.
  void missed(std::chrono::nanoseconds polled, std::chrono::nanoseconds after);

  // No event came in `waited`, which a timer ended.
  void silent(std::chrono::nanoseconds polled, std::chrono::nanoseconds waited);

 private:
  static constexpr std::size_t kBuckets = 40;

  // Every so often a few waits are polled against the model's advice.
  struct Exploration {
    std::uint16_t interval = 64;  // waits from one to the next
    std::uint16_t countdown = 64;
    std::uint8_t left = 0;  // waits of the one in progress
  };

  // What polling has gained and lost, in nanoseconds of CPU.
  struct Guard {
    std::int64_t account = 0;
    std::uint16_t pause = 64;  // waits without polling, the next time it trips
    std::uint16_t left = 0;    // of the pause in progress
    std::uint8_t hits = 0;     // of explorations during the pause
  };

  void count(std::int64_t wait_ns, std::uint32_t weight);
  void pay(std::chrono::nanoseconds polled_in_vain);
  void advance();
  void recompute();
  std::int64_t cheapest_budget() const;
  void decide();
  void earn(std::int64_t ns);
  void end_pause_after_hits();
  // What an exploration polls for.
  std::int64_t explored_ns() const { return std::min(miss_cost_ns_, longest_ns_); }
  bool exploring() const { return exploration_.left != 0; }

  std::array<std::uint32_t, kBuckets> counts_{};
  std::int64_t weight_;
  std::int64_t wake_cost_ns_;
  std::int64_t miss_cost_ns_;  // weight * wake cost: what a blocked wait costs
  std::int64_t longest_ns_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t model_ns_;  // the budget that the distribution suggests
  std::int64_t next_ns_;   // the one that applies to the next wait
  Guard guard_;
  Exploration exploration_;
  std::uint32_t waits_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_WAIT_HISTOGRAM_H_
