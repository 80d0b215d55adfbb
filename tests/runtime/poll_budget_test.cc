#include "runtime/poll_budget.h"

#include <chrono>
#include <vector>

#include "doctest/doctest.h"
#include "runtime/poll_policy.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("off never polls, whatever it is told") {
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
    budget.waited({.blocked = 5ms, .by_event = false});
  }
  CHECK(budget.budget() == before);
  budget.waited({.blocked = 5ms});
  CHECK(budget.budget() == 0ns);
}

TEST_CASE("a learned policy polls before its timers for what a wake costs, the others do not") {
  CHECK(PollBudget(PollLearned{.wake_cost = 30us}).timer_tail() == 45us);
  CHECK(PollBudget(PollGrowShrink{}).timer_tail() == 0ns);
  CHECK(PollBudget(PollFixed{.max = 1ms}).timer_tail() == 0ns);
}

}  // namespace
}  // namespace coaio::testing
