// What the policies cost and reach without a kernel: criteria 8 to 10. Prints one JSON object.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "bench/poll_policy/replay.h"
#include "bench/poll_policy/traces.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_histogram.h"

namespace coaio::bench {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

PollPolicy learned(std::uint32_t weight) {
  return PollLearned{.latency_weight = weight, .wake_cost = kBelievedWakeCost};
}

double cost_of(const Trace& trace, const PollPolicy& policy, std::uint32_t weight) {
  return replay(trace, policy).total(weight);
}

// The best of several, since the machine is not alone.
double ns_per_wait() {
  const Trace trace = all_traces()[8];
  double best = 1e9;
  for (int repetition = 0; repetition < 20; ++repetition) {
    PollBudget budget(learned(3));
    const auto begin = std::chrono::steady_clock::now();
    for (const nanoseconds wait : trace.waits) {
      const nanoseconds polled = std::min(wait, budget.budget());
      budget.waited(
          {.polled = polled,
           .blocked = polled < wait ? wait - polled + kBelievedWakeCost : nanoseconds(0)});
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count() / static_cast<double>(trace.waits.size()));
  }
  return best;
}

double worst_ratio(std::uint32_t weight) {
  double worst = 0;
  for (const Trace& trace : all_traces()) {
    const double better = std::min(cost_of(trace, PollOff{}, weight),
                                   cost_of(trace, PollFixed{.max = std::chrono::hours(1)}, weight));
    worst = std::max(worst, cost_of(trace, learned(weight), weight) / better);
  }
  return worst;
}

double worst_ratio_on_shared_cpu(std::uint32_t weight) {
  double worst = 0;
  for (const Trace& trace : shared_cpu_traces()) {
    worst = std::max(worst,
                     cost_of(trace, learned(weight), weight) / cost_of(trace, PollOff{}, weight));
  }
  return worst;
}

// At the default weight, beside grow and shrink as its author set it: to 32 µs, twofold, to
// nothing.
double worst_ratio_to_grow_shrink() {
  double worst = 0;
  const PollPolicy rival =
      PollGrowShrink{.max = std::chrono::microseconds(32), .grow = 2, .shrink = 0};
  for (const Trace& trace : all_traces()) {
    if (is_mixed(trace)) {
      worst = std::max(worst, cost_of(trace, learned(3), 3) / cost_of(trace, rival, 3));
    }
  }
  return worst;
}

// On traces of 100 ms and more, which is what the cap speaks of.
double largest_share(double cap) {
  double largest = 0;
  for (const Trace& trace : all_traces()) {
    const Cost cost = replay(trace, learned(3), cap);
    if (cost.elapsed_ns >= 1e8) {
      largest = std::max(largest, cost.polled_ns / cost.elapsed_ns);
    }
  }
  return largest;
}

}  // namespace
}  // namespace coaio::bench

int main() {
  using namespace coaio::bench;
  std::printf("{\"ns_per_wait\": %.1f, \"bytes\": %zu, ", ns_per_wait(),
              sizeof(coaio::internal::WaitHistogram));
  std::printf("\"worst\": [%.2f, %.2f, %.2f], ", worst_ratio(1), worst_ratio(3), worst_ratio(10));
  std::printf("\"worst_on_shared_cpu\": [%.2f, %.2f, %.2f], ", worst_ratio_on_shared_cpu(1),
              worst_ratio_on_shared_cpu(3), worst_ratio_on_shared_cpu(10));
  std::printf("\"mixed_to_grow_shrink\": %.2f, ", worst_ratio_to_grow_shrink());
  std::printf("\"share_at_50\": %.4f, \"share_at_20\": %.4f}\n", largest_share(0.5),
              largest_share(0.2));
  return 0;
}
