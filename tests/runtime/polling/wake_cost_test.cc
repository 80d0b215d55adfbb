#include "runtime/polling/wake_cost.h"

#include <chrono>

#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

TEST_CASE("the cost of a wake is positive, and measured once") {
  const std::chrono::nanoseconds cost = wake_cost();
  CHECK(cost > std::chrono::nanoseconds(0));
  CHECK(wake_cost() == cost);
}

TEST_CASE("a machine that is busy when the cost of a wake is measured does not make it absurd") {
  CHECK(wake_cost() <= 100us);
  CHECK(clamp_wake_cost(4ms) == 100us);
  CHECK(clamp_wake_cost(40us) == 40us);
  CHECK(clamp_wake_cost(0us) == 1us);
}

TEST_CASE("the cost of a wake follows the median of what timers tell, in both directions") {
  WakeCost cost(20us);
  for (int i = 0; i < 100; ++i) {
    cost.woke_late(100us, i % 3 == 0 ? 5us : 40us);
  }
  CHECK(cost.of_short_sleeps() > 35us);
  CHECK(cost.of_short_sleeps() < 45us);
  for (int i = 0; i < 100; ++i) {
    cost.woke_late(100us, 10us);
  }
  CHECK(cost.of_short_sleeps() < 11us);
}

TEST_CASE(
    "one sample moves the cost of a wake by a sixteenth, and one that is far off not at all") {
  WakeCost cost(16us);
  cost.woke_late(100us, 64us);
  CHECK(cost.of_short_sleeps() == 17us);
  cost.woke_late(100us, 69us);
  cost.woke_late(100us, -1us);
  CHECK(cost.of_short_sleeps() == 17us);
}

TEST_CASE("the cost of a wake stays within four times of what was measured") {
  WakeCost cost(20us);
  for (int i = 0; i < 1000; ++i) {
    cost.woke_late(100us, cost.of_short_sleeps() * 2);
  }
  CHECK(cost.of_short_sleeps() == 80us);
  for (int i = 0; i < 1000; ++i) {
    cost.woke_late(100us, 0us);
  }
  CHECK(cost.of_short_sleeps() == 5us);
}

TEST_CASE("long sleeps, after which a wake costs more, are followed apart from short ones") {
  WakeCost cost(20us);
  for (int i = 0; i < 100; ++i) {
    cost.woke_late(10ms, 70us);
    cost.woke_late(1ms, 45us);
  }
  CHECK(cost.of_short_sleeps() == 20us);
  CHECK(cost.after(100us) == 20us);
  CHECK(cost.after(1ms) > 40us);
  CHECK(cost.after(10ms) > 65us);
}

}  // namespace
}  // namespace coaio::testing
