#include "runtime/wake_cost.h"

#include <chrono>

#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

TEST_CASE("the cost of a wake is positive, and measured once") {
  const std::chrono::nanoseconds cost = wake_cost();
  CHECK(cost > std::chrono::nanoseconds(0));
  CHECK(wake_cost() == cost);
}

}  // namespace
}  // namespace coaio::testing
