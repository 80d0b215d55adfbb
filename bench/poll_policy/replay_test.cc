#include "bench/poll_policy/replay.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "bench/poll_policy/traces.h"
#include "doctest/doctest.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {
namespace {

double cost_of(const Trace& trace, const PollPolicy& policy, double latency_weight) {
  return replay(trace, policy).total(latency_weight);
}

PollPolicy learned(std::uint32_t latency_weight) {
  return PollLearned{.latency_weight = latency_weight, .wake_cost = kBelievedWakeCost};
}

const PollPolicy kSpin = PollFixed{.max = std::chrono::hours(1)};
const PollPolicy kGrowShrink = PollGrowShrink{.max = std::chrono::microseconds(32)};

TEST_CASE(
    "learned polling stays within 1.15 of the better of blocking and spinning, on every trace") {
  for (const std::uint32_t weight : {1U, 3U, 10U}) {
    CAPTURE(weight);
    for (const Trace& trace : all_traces()) {
      CAPTURE(trace.name);
      const double better =
          std::min(cost_of(trace, PollOff{}, weight), cost_of(trace, kSpin, weight));
      CHECK(cost_of(trace, learned(weight), weight) <= 1.15 * better);
    }
  }
}

TEST_CASE("learned polling costs at most 1.7 of blocking where the partner shares the CPU") {
  for (const std::uint32_t weight : {1U, 3U, 10U}) {
    CAPTURE(weight);
    for (const Trace& trace : shared_cpu_traces()) {
      CAPTURE(trace.name);
      CHECK(cost_of(trace, learned(weight), weight) <= 1.7 * cost_of(trace, PollOff{}, weight));
    }
  }
}

TEST_CASE("late polling costs no more than learned polling without it, and far less if steady") {
  const PollPolicy late = PollLearned{.wake_cost = kBelievedWakeCost, .late = true};
  for (const Trace& trace : all_traces()) {
    CAPTURE(trace.name);
    CHECK(cost_of(trace, late, 3) <= 1.05 * cost_of(trace, learned(3), 3));
    if (trace.name == "fixed 200" || trace.name == "fixed 1000") {
      CHECK(cost_of(trace, late, 3) <= 0.5 * cost_of(trace, learned(3), 3));
    }
  }
}

TEST_CASE("the recorded traces take part") {
  CHECK(recorded_traces().size() >= 2);
  for (const Trace& trace : all_traces()) {
    CAPTURE(trace.name);
    CHECK(trace.waits.size() > 2 * (kAsleep + kLearning));
  }
}

TEST_CASE("polling takes no more than its share of a CPU") {
  for (const double share : {0.5, 0.2}) {
    CAPTURE(share);
    for (const Trace& trace : all_traces()) {
      CAPTURE(trace.name);
      const Cost cost = replay(trace, learned(3), share);
      CHECK(cost.polled_ns <= share * std::max(cost.elapsed_ns, 1e8));
    }
  }
}

TEST_CASE("learned polling beats grow and shrink by a tenth where waits are mixed") {
  for (const Trace& trace : all_traces()) {
    if (is_mixed(trace)) {
      CAPTURE(trace.name);
      CHECK(cost_of(trace, learned(3), 3) <= 0.9 * cost_of(trace, kGrowShrink, 3));
    }
  }
}

TEST_CASE("nothing is cheaper than hindsight") {
  for (const Trace& trace : all_traces()) {
    CAPTURE(trace.name);
    const double best = replay_in_hindsight(trace, 3).total(3);
    for (const PollPolicy& policy : {PollPolicy(PollOff{}), kSpin, kGrowShrink, learned(3)}) {
      CHECK(cost_of(trace, policy, 3) >= best);
    }
  }
}

}  // namespace
}  // namespace coaio::bench
