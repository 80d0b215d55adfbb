#include "bench/poll_policy/replay.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <random>

#include "bench/poll_policy/traces.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_cap.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/clock.h"

namespace coaio::bench {

using namespace internal;
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

constexpr double kSwitchNs = 3'000;  // from thread to thread on one CPU
constexpr double kTimerNs = 3'000;   // of CPU, for a sleep before the late polling

// What to do in one wait: sleep for `sleep_ns`, then poll until `until_ns`.
struct Search {
  double sleep_ns = 0;
  double until_ns = 0;
};

// What comes of it. `late`: of the wake, if the event finds the loop asleep.
struct Outcome {
  WaitOutcome wait;
  double polled_ns = 0;
  double late_ns = 0;
};

nanoseconds rounded(double ns) { return nanoseconds(static_cast<nanoseconds::rep>(ns)); }

Outcome head(double wait, double until, double late) {
  const double polled = std::min(wait, until);
  const double late_ns = polled < wait ? late : 0;
  return {.wait = {.polled = rounded(polled), .blocked = rounded(wait - polled + late_ns)},
          .polled_ns = polled,
          .late_ns = late_ns};
}

// A loop that its own timer wakes is late, too.
Outcome after_sleep(double wait, const Search& search, double late, double alarm_late) {
  if (wait < search.sleep_ns) {
    return head(wait, 0, late);
  }
  const double woke = search.sleep_ns + alarm_late;
  if (wait <= woke) {
    return {.wait = {.slept = rounded(woke)}, .polled_ns = kTimerNs, .late_ns = woke - wait};
  }
  Outcome outcome = head(wait - woke, std::max(0.0, search.until_ns - woke), late);
  outcome.wait.slept = rounded(woke);
  outcome.polled_ns += kTimerNs;
  return outcome;
}

// While we poll, the partner stands still.
Outcome on_shared_cpu(double wait, double until) {
  return {.wait = {.polled = rounded(until), .blocked = rounded(wait + kSwitchNs)},
          .polled_ns = until,
          .late_ns = until + kSwitchNs};
}

// Searches in each wait as `plan` says, and tells `waited` what came of it.
template <typename Plan, typename Waited>
Cost replay(const Trace& trace, Plan plan, Waited waited) {
  Sleeper sleeper;
  Sleeper alarm;
  TimePoint now{};
  Cost cost;
  for (std::size_t i = 0; i < trace.waits.size(); ++i) {
    const auto wait = static_cast<double>(trace.waits[i].count());
    const double late = sleeper.lateness(wait);
    const Search search = plan(now, wait, late);
    const Outcome outcome = trace.shared_cpu ? on_shared_cpu(wait, search.until_ns)
                            : search.sleep_ns != 0
                                ? after_sleep(wait, search, late, alarm.lateness(search.sleep_ns))
                                : head(wait, search.until_ns, late);
    waited(outcome.wait);
    now += rounded(wait + outcome.late_ns);
    if (i >= kAsleep + kLearning) {
      cost.polled_ns += outcome.polled_ns;
      cost.late_ns += outcome.late_ns;
      cost.elapsed_ns += wait + outcome.late_ns;
      ++cost.waits;
    }
  }
  return cost;
}

double count_of(nanoseconds duration) { return static_cast<double>(duration.count()); }

Search search_of(const PollBudget& budget) {
  if (budget.budget() != nanoseconds(0)) {
    return {.until_ns = count_of(budget.budget())};
  }
  if (const auto window = budget.late_window(); window.has_value()) {
    return {.sleep_ns = count_of(window->sleep), .until_ns = count_of(window->end)};
  }
  return {};
}

}  // namespace

Cost replay(const Trace& trace, const PollPolicy& policy, double share) {
  PollBudget budget(policy);
  PollCap cap(share);
  return replay(
      trace,
      [&](TimePoint now, double, double) {
        const Search search = search_of(budget);
        const double polled_ns = search.until_ns - search.sleep_ns;
        return polled_ns != 0 && cap.grants(now, rounded(polled_ns)) ? search : Search{};
      },
      [&](const WaitOutcome& wait) {
        cap.spend(wait.polled);
        budget.waited(wait);
      });
}

Cost replay_in_hindsight(const Trace& trace, double latency_weight) {
  return replay(
      trace,
      [&](TimePoint, double wait, double late) {
        return Search{.until_ns = !trace.shared_cpu && wait <= latency_weight * late ? wait : 0};
      },
      [](const WaitOutcome&) {});
}

}  // namespace coaio::bench
