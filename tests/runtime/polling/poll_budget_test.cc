#include "runtime/polling/poll_budget.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "doctest/doctest.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("off never polls, whatever the waits were") {
  PollBudget budget(PollOff{});
  CHECK(budget.budget() == 0ns);
  budget.waited({.blocked = 10us});
  CHECK(budget.budget() == 0ns);
  CHECK(!budget.learns());
}

TEST_CASE("fixed always polls for its maximum") {
  PollBudget budget(PollFixed{.max = 50us});
  CHECK(budget.budget() == 50us);
  budget.waited({.blocked = 1s});
  CHECK(budget.budget() == 50us);
}

TEST_CASE("grow and shrink finds a steady wait of ten microseconds in four steps, and stays") {
  PollBudget budget(PollGrowShrink{.max = 32768ns});
  std::vector<nanoseconds> windows;
  for (int i = 0; i < 6; ++i) {
    windows.push_back(budget.budget());
    budget.waited({.blocked = 10us});
  }
  CHECK(windows == std::vector<nanoseconds>{0us, 4us, 8us, 16us, 16us, 16us});
}

TEST_CASE("a wait longer than the maximum ends the polling, or divides it") {
  PollBudget to_nothing(PollGrowShrink{.max = 100us});
  to_nothing.waited({.blocked = 10us});
  to_nothing.waited({.blocked = 101us});
  CHECK(to_nothing.budget() == 0us);

  PollBudget by_two(PollGrowShrink{.max = 100us, .shrink = 2});
  by_two.waited({.blocked = 10us});
  by_two.waited({.blocked = 101us});
  CHECK(by_two.budget() == 2us);
}

TEST_CASE("a wait within the window, or of exactly the maximum, changes nothing") {
  PollBudget budget(PollGrowShrink{.max = 100us});
  budget.waited({.blocked = 10us});
  REQUIRE(budget.budget() == 4us);
  budget.waited({.blocked = 4us});
  CHECK(budget.budget() == 4us);
  budget.waited({.blocked = 100us});
  CHECK(budget.budget() == 4us);
}

TEST_CASE("the window does not grow past the maximum") {
  PollBudget budget(PollGrowShrink{.max = 10us, .grow = 3});
  for (int i = 0; i < 5; ++i) {
    budget.waited({.blocked = budget.budget() + 1ns});
  }
  CHECK(budget.budget() == 10us);
  PollBudget tiny(PollGrowShrink{.max = 1us});
  tiny.waited({.blocked = 500ns});
  CHECK(tiny.budget() == 1us);
}

TEST_CASE("a learned policy does not take its own timers for arrivals") {
  PollBudget budget(PollLearned{.wake_cost = 30us});
  const nanoseconds before = budget.budget();
  for (int i = 0; i < 20; ++i) {
    budget.waited({.blocked = 50us, .by_event = false});
  }
  CHECK(budget.budget() == before);
}

TEST_CASE("a learned policy that hears nothing but its own timers stops polling for events") {
  PollBudget budget(PollLearned{.wake_cost = 30us});
  for (int i = 0; i < 20; ++i) {
    budget.waited({.polled = budget.budget(), .blocked = 5ms, .by_event = false});
  }
  CHECK(budget.budget() == 0ns);
}

TEST_CASE("a learned policy polls before its timers for what a wake costs, the others do not") {
  CHECK(PollBudget(PollLearned{.wake_cost = 30us}).timer_tail(1ms) == 45us);
  CHECK(PollBudget(PollGrowShrink{}).timer_tail(1ms) == 0ns);
  CHECK(PollBudget(PollFixed{.max = 1ms}).timer_tail(1ms) == 0ns);
}

TEST_CASE("a wake cost that was given is kept, one that was measured is followed") {
  PollBudget given(PollLearned{.wake_cost = 30us});
  PollBudget measured(PollLearned{});
  const nanoseconds before = measured.timer_tail(100us);
  for (int i = 0; i < 200; ++i) {
    given.woke_late(100us, 5us);
    measured.woke_late(100us, 0us);
  }
  CHECK(given.timer_tail(100us) == 45us);
  CHECK(measured.timer_tail(100us) < before);
}

// Waits for an event that comes every 500 µs, and wakes as late as is believed.
WaitOutcome wait_for(PollBudget& budget, nanoseconds event, nanoseconds wake_cost) {
  const auto window = budget.late_window();
  if (budget.budget() != 0ns || !window.has_value()) {
    const nanoseconds polled = std::min(budget.budget(), event);
    return {.polled = polled, .blocked = polled == event ? 0ns : event - polled + wake_cost};
  }
  const nanoseconds slept = window->sleep + wake_cost;
  return {.slept = slept, .polled = event - slept};
}

TEST_CASE("late polling finds what comes at steady intervals, after a sleep, if it is asked for") {
  PollBudget late(PollLearned{.wake_cost = 30us, .late = true});
  PollBudget plain(PollLearned{.wake_cost = 30us});
  int found_late = 0;
  for (int i = 0; i < 200; ++i) {
    const WaitOutcome wait = wait_for(late, 500us, 30us);
    found_late += wait.slept != 0ns && wait.polled < 50us ? 1 : 0;
    late.waited(wait);
    plain.waited(wait_for(plain, 500us, 30us));
  }
  CHECK(found_late > 150);
  CHECK(!plain.late_window().has_value());
}

}  // namespace
}  // namespace coaio::testing
