#include "runtime/polling/late_polling.h"

#include <chrono>

#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr nanoseconds kWake = 30us;
constexpr nanoseconds kMissCost = 3 * kWake;

LatePolling after_intervals(int count, nanoseconds mean, nanoseconds scatter) {
  LatePolling late;
  for (int i = 0; i < count; ++i) {
    late.arrived(i % 2 == 0 ? mean - scatter : mean + scatter);
  }
  return late;
}

TEST_CASE("late polling begins after eight intervals") {
  CHECK(!after_intervals(0, 500us, 0us).window(kWake, kMissCost).has_value());
  CHECK(!after_intervals(7, 500us, 0us).window(kWake, kMissCost).has_value());
  CHECK(after_intervals(30, 500us, 0us).window(kWake, kMissCost).has_value());
}

TEST_CASE("late polling wakes before a steady event, early enough, and polls beyond it") {
  for (const nanoseconds interval : {200us, 1000us, 5000us}) {
    const LatePolling::Window window = after_intervals(100, interval, 0us)
                                           .window(kWake, kMissCost)
                                           .value_or(LatePolling::Window());
    CHECK(window.sleep <= interval - kWake);
    CHECK(window.sleep >= interval - 2 * kWake);
    CHECK(window.end > interval);
    CHECK(window.end < interval + 10us);
  }
}

TEST_CASE("late polling leaves alone what is irregular") {
  CHECK(after_intervals(100, 500us, 10us).window(kWake, kMissCost).has_value());
  CHECK(!after_intervals(100, 500us, 100us).window(kWake, kMissCost).has_value());
}

TEST_CASE("late polling leaves alone what is too near to sleep before it, and too cheap to miss") {
  CHECK(!after_intervals(100, 40us, 0us).window(kWake, kMissCost).has_value());
  CHECK(!after_intervals(100, 500us, 0us).window(kWake, 15us).has_value());
}

}  // namespace
}  // namespace coaio::testing
