#include "bench/poll_policy/replay.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <random>

#include "bench/poll_policy/traces.h"
#include "runtime/poll_budget.h"
#include "runtime/poll_policy.h"

namespace coaio::bench {
namespace {

using std::chrono::nanoseconds;

// How late a sleeper wakes after this time asleep: measured, see docs/decisions.md.
struct Point {
  double asleep_ns;
  double late_ns;
};
constexpr std::array<Point, 5> kMeasured = {
    {{5e3, 15.7e3}, {50e3, 30e3}, {200e3, 33e3}, {1e6, 46e3}, {5e6, 72e3}}};

double median_lateness(double asleep_ns) {
  if (asleep_ns <= kMeasured.front().asleep_ns) {
    return kMeasured.front().late_ns;
  }
  for (std::size_t i = 1; i < kMeasured.size(); ++i) {
    const Point& from = kMeasured[i - 1];
    const Point& to = kMeasured[i];
    if (asleep_ns < to.asleep_ns) {
      const double share =
          std::log(asleep_ns / from.asleep_ns) / std::log(to.asleep_ns / from.asleep_ns);
      return from.late_ns + share * (to.late_ns - from.late_ns);
    }
  }
  return kMeasured.back().late_ns;
}

// The same lateness for the same wait, whatever the policy.
class Sleeper {
 public:
  double lateness(double asleep_ns) {
    double late = median_lateness(asleep_ns) * scatter_(random_);
    if (uniform_(random_) < 0.01) {
      late *= 2 + 6 * uniform_(random_);
    }
    return late;
  }

 private:
  std::mt19937_64 random_{7};
  std::lognormal_distribution<double> scatter_{0, 0.25};
  std::uniform_real_distribution<double> uniform_{0, 1};
};

// Polls each wait for as long as `budget` says, and tells `waited` what came of it.
Cost replay(const Trace& trace, const std::function<double(double wait, double late)>& budget,
            const std::function<void(nanoseconds polled, nanoseconds blocked)>& waited) {
  Sleeper sleeper;
  Cost cost;
  for (std::size_t i = 0; i < trace.waits.size(); ++i) {
    const auto wait = static_cast<double>(trace.waits[i].count());
    const double asleep_late = sleeper.lateness(wait);
    const double polled = std::min(wait, budget(wait, asleep_late));
    const double late = polled < wait ? asleep_late : 0;
    const double blocked = polled < wait ? wait - polled + late : 0;
    waited(nanoseconds(static_cast<nanoseconds::rep>(polled)),
           nanoseconds(static_cast<nanoseconds::rep>(blocked)));
    if (i >= kAsleep + kLearning) {
      cost.polled_ns += polled;
      cost.late_ns += late;
      cost.elapsed_ns += wait + late;
      ++cost.waits;
    }
  }
  return cost;
}

}  // namespace

Cost replay(const Trace& trace, const PollPolicy& policy) {
  PollBudget state(policy);
  return replay(
      trace, [&](double, double) { return static_cast<double>(state.budget().count()); },
      [&](nanoseconds polled, nanoseconds blocked) {
        state.waited({.polled = polled, .blocked = blocked});
      });
}

Cost replay_in_hindsight(const Trace& trace, double latency_weight) {
  return replay(
      trace, [&](double wait, double late) { return wait <= latency_weight * late ? wait : 0; },
      [](nanoseconds, nanoseconds) {});
}

}  // namespace coaio::bench
