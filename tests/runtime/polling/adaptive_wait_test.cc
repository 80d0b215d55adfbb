#include "runtime/polling/adaptive_wait.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "runtime/fd_table.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/source_list.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"
#include "tests/support/fake_monitor.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// A loop whose time passes only in the wait. Each probe takes a microsecond, and each sleep ends
// late by `wake_cost`.
class FakeLoop final : public AdaptiveWait::Loop {
 public:
  explicit FakeLoop(ManualClock& clock) : clock_(clock) {}

  Probe probe() override {
    ++probes;
    clock_.advance(1us);
    return {.found = has_work(), .asked_kernel = false};
  }

  void sleep(nanoseconds limit) override {
    sleeps.push_back(limit);
    const TimePoint due = limit == FdMonitor::kForever ? TimePoint::max() : clock_.now() + limit;
    clock_.advance_to(std::min(due, event) + wake_cost);
  }

  bool has_work() const override { return clock_.now() >= event; }

  nanoseconds time_to_next() const override {
    if (has_work() || clock_.now() >= timer) {
      return 0ns;
    }
    return timer == TimePoint::max() ? FdMonitor::kForever : timer - clock_.now();
  }

  unsigned probes = 0;
  std::vector<nanoseconds> sleeps;
  TimePoint event = TimePoint::max();
  TimePoint timer = TimePoint::max();
  nanoseconds wake_cost = 10us;

 private:
  ManualClock& clock_;
};

// An adaptive wait over a fake loop, without poll sources.
struct Scene {
  explicit Scene(const PollPolicy& policy, double share = 1.0)
      : wait(loop, sources, stats, trace, {.policy = policy, .share = share, .clock = &clock}) {}

  void wait_for_event(nanoseconds after) {
    loop.event = clock.now() + after;
    wait.wait(FdMonitor::kForever, false);
    loop.event = TimePoint::max();
  }
  void wait_for_timer(nanoseconds after) {
    loop.timer = clock.now() + after;
    wait.wait(after, true);
    loop.timer = TimePoint::max();
  }

  ManualClock clock;
  FakeLoop loop{clock};
  FakeMonitor monitor;
  FdTable fds{monitor};
  SourceList sources{fds, clock, 7s, PollOff{}};
  PollStats stats;
  Trace trace;
  AdaptiveWait wait;
};

TEST_CASE("without polling a wait is one sleep, for as long as the limit says") {
  Scene scene(PollOff{});
  scene.wait_for_event(5us);
  scene.wait_for_timer(1ms);
  CHECK(scene.loop.sleeps == std::vector<nanoseconds>{FdMonitor::kForever, 1ms});
  CHECK(scene.loop.probes == 0);
  CHECK(scene.stats.polls == 0);
}

TEST_CASE("an event within the budget is found by polling, and there is no sleep") {
  Scene scene(PollFixed{.max = 100us});
  scene.wait_for_event(50us);
  CHECK(scene.loop.sleeps.empty());
  CHECK(scene.stats.polls == 1);
  CHECK(scene.stats.poll_hits == 1);
}

TEST_CASE("after a budget without an event the loop sleeps") {
  Scene scene(PollFixed{.max = 100us});
  scene.wait_for_event(1ms);
  CHECK(scene.loop.sleeps == std::vector<nanoseconds>{FdMonitor::kForever});
  CHECK(scene.stats.polls == 1);
  CHECK(scene.stats.poll_hits == 0);
  CHECK(scene.stats.polled >= 100us);
  CHECK(scene.stats.polled < 120us);
}

TEST_CASE("a poll that is longer than the time to a timer ends with the timer") {
  Scene scene(PollFixed{.max = 100us});
  scene.wait_for_timer(32us);
  CHECK(scene.loop.sleeps.empty());
  CHECK(scene.stats.polled == 32us);
}

TEST_CASE("a learned wait sleeps until a wake before its timer, and polls the rest") {
  Scene scene(PollLearned{.latency_weight = 1, .wake_cost = 20us});
  scene.wait_for_timer(1ms);  // the first wait explores: one miss cost of polling
  scene.loop.sleeps.clear();
  const TimePoint due = scene.clock.now() + 10ms;
  scene.wait_for_timer(10ms);
  REQUIRE(scene.loop.sleeps.size() == 1);
  CHECK(scene.loop.sleeps[0] <= 10ms - 30us);
  CHECK(scene.loop.sleeps[0] > 9900us);
  CHECK(scene.clock.now() >= due);
  CHECK(scene.clock.now() < due + 20us);  // no wake was late for it
}

TEST_CASE("without its share of a CPU a wait is a sleep, late rather than busy") {
  Scene scene(PollLearned{.latency_weight = 1, .wake_cost = 20us}, 0.0);
  const TimePoint due = scene.clock.now() + 1ms;
  scene.wait_for_timer(1ms);
  CHECK(scene.loop.probes == 0);
  CHECK(scene.clock.now() >= due);
  CHECK(scene.stats.guard.over_share != 0);
}

TEST_CASE("a wait for events at steady intervals sleeps first and polls around the next one") {
  Scene scene(PollLearned{.latency_weight = 3, .wake_cost = 10us, .late = true});
  for (int i = 0; i < 40; ++i) {
    scene.wait_for_event(2ms);
  }
  scene.loop.sleeps.clear();
  const std::uint64_t hits = scene.stats.poll_hits;
  scene.wait_for_event(2ms);
  REQUIRE(scene.loop.sleeps.size() == 1);
  CHECK(scene.loop.sleeps[0] > 1900us);
  CHECK(scene.loop.sleeps[0] < 2ms);
  CHECK(scene.stats.poll_hits == hits + 1);
}

// A blocked wait costs 100 µs here, so an event after 120 µs is not worth a poll. It comes 10 µs
// before a timer, in the last stretch, which is polled. If the wait were taken for a blocked one, a
// wake of 50 µs would be taken off, and 70 µs would be worth a poll.
TEST_CASE("an event that is found in the poll before a timer is not taken for a blocked wait") {
  Scene scene(PollLearned{.latency_weight = 2, .wake_cost = 50us});
  scene.loop.wake_cost = 0us;
  for (int i = 0; i < 20; ++i) {
    scene.loop.sleeps.clear();
    scene.loop.timer = scene.clock.now() + 130us;
    scene.loop.event = scene.clock.now() + 120us;
    scene.wait.wait(130us, true);
  }
  CHECK(scene.loop.sleeps == std::vector<nanoseconds>{130us - 75us});
  CHECK(scene.stats.poll_hits == 20);
}

TEST_CASE("under a small share the learned policy polls for what the share covers") {
  for (const double share : {0.009, 0.005, 0.002}) {
    CAPTURE(share);
    Scene scene(PollLearned{.latency_weight = 10, .wake_cost = 50us}, share);
    for (int i = 0; i < 100; ++i) {
      scene.wait_for_event(20us);
      scene.clock.advance(20ms);  // the share is earned meanwhile
    }
    CHECK(scene.stats.poll_hits > 50);
  }
}

TEST_CASE("a budget above what a small share ever covers is cut to it, not refused for ever") {
  for (const PollPolicy& policy :
       {PollPolicy(PollFixed{.max = 20ms}), PollPolicy(PollGrowShrink{.max = 20ms, .grow = 100})}) {
    CAPTURE(policy.index());
    Scene scene(policy, 0.01);
    for (int i = 0; i < 100; ++i) {
      scene.wait_for_event(i < 4 ? 10ms : 20us);
      scene.clock.advance(100ms);  // the share is earned meanwhile
    }
    CHECK(scene.stats.poll_hits > 90);
    CHECK(scene.stats.guard.over_share == 0);
    const std::uint64_t hits = scene.stats.poll_hits;
    const nanoseconds polled = scene.stats.polled;
    scene.wait_for_event(10ms);
    CHECK(scene.stats.poll_hits == hits);
    CHECK(scene.stats.polled - polled >= 250us);  // a quarter of 1 % of 100 ms
    CHECK(scene.stats.polled - polled < 270us);
  }
}

TEST_CASE("the trace of a wait tells how the poll began and ended, and how the budget changed") {
  Scene scene(PollGrowShrink{.max = 100us});
  std::vector<TraceEvent::Kind> kinds;
  scene.trace = [&](const TraceEvent& event) { kinds.push_back(event.kind); };
  scene.wait_for_event(10us);
  scene.wait_for_event(2us);
  scene.wait_for_event(1ms);
  using enum TraceEvent::Kind;
  CHECK(kinds == std::vector<TraceEvent::Kind>{kPollGrow, kPollBegin, kPollEnd, kPollBegin,
                                               kPollEnd, kPollShrink});
}

}  // namespace
}  // namespace coaio::testing
