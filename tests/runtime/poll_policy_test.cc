#include "runtime/poll_policy.h"

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("off never polls, whatever it is told") {
  PollBudget budget(PollOff{});
  CHECK(budget.budget() == 0ns);
  budget.waited(10us);
  CHECK(budget.budget() == 0ns);
  CHECK(!budget.learns());
}

TEST_CASE("fixed always polls for its maximum") {
  PollBudget budget(PollFixed{.max = 50us});
  CHECK(budget.budget() == 50us);
  budget.waited(1s);
  CHECK(budget.budget() == 50us);
}

TEST_CASE("grow and shrink finds a steady wait of ten microseconds in four steps, and stays") {
  PollBudget budget(PollGrowShrink{.max = 32768ns});
  std::vector<nanoseconds> windows;
  for (int i = 0; i < 6; ++i) {
    windows.push_back(budget.budget());
    budget.waited(10us);
  }
  CHECK(windows == std::vector<nanoseconds>{0us, 4us, 8us, 16us, 16us, 16us});
}

TEST_CASE("a wait longer than the maximum ends the polling, or divides it") {
  PollBudget to_nothing(PollGrowShrink{.max = 100us});
  to_nothing.waited(10us);
  to_nothing.waited(101us);
  CHECK(to_nothing.budget() == 0us);

  PollBudget by_two(PollGrowShrink{.max = 100us, .shrink = 2});
  by_two.waited(10us);
  by_two.waited(101us);
  CHECK(by_two.budget() == 2us);
}

TEST_CASE("a wait within the window, or of exactly the maximum, changes nothing") {
  PollBudget budget(PollGrowShrink{.max = 100us});
  budget.waited(10us);
  REQUIRE(budget.budget() == 4us);
  budget.waited(4us);
  CHECK(budget.budget() == 4us);
  budget.waited(100us);
  CHECK(budget.budget() == 4us);
}

TEST_CASE("the window does not grow past the maximum") {
  PollBudget budget(PollGrowShrink{.max = 10us, .grow = 3});
  for (int i = 0; i < 5; ++i) {
    budget.waited(budget.budget() + 1ns);
  }
  CHECK(budget.budget() == 10us);
  PollBudget tiny(PollGrowShrink{.max = 1us});
  tiny.waited(500ns);
  CHECK(tiny.budget() == 1us);
}

TEST_CASE("a policy is read from text, and what is no policy is refused by name") {
  CHECK(std::holds_alternative<PollOff>(*parse_poll_policy("off")));
  CHECK(std::get<PollFixed>(*parse_poll_policy("fixed:50")).max == 50us);
  CHECK(std::get<PollGrowShrink>(*parse_poll_policy("grow_shrink:128")).max == 128us);
  for (const char* text : {"", "fixed", "fixed:", "fixed:0", "fixed:-1", "grow_shrink:many", "on"}) {
    CAPTURE(text);
    const absl::StatusOr<PollPolicy> policy = parse_poll_policy(text);
    CHECK(absl::IsInvalidArgument(policy.status()));
    CHECK(policy.status().message().find(std::string("\"") + text + "\"") != std::string::npos);
  }
}

}  // namespace
}  // namespace coaio::testing
