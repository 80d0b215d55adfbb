#include "runtime/wall_timer.h"

#include <chrono>
#include <functional>
#include <string>

#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "runtime/clock.h"
#include "runtime/context.h"
#include "runtime/timer.h"
#include "runtime/wall_timers.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// A clock on the wall that the test sets, also back.
class WallClockByHand final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  std::chrono::nanoseconds until(TimePoint deadline) const override {
    return deadline <= now_ ? 0ns : FdMonitor::kForever;
  }
  void set(WallTime time) { now_ = to_time_point(time); }

 private:
  TimePoint now_;
};

constexpr WallTime kNoon = WallTime(50 * 365 * 24h);

void on_every_wall(const std::function<void(Context&, WallClockByHand&)>& clause) {
  WallClockByHand wall;
  on_every_context(
      [&](Context& context) {
        wall.set(kNoon);
        clause(context, wall);
      },
      {.wall_clock = &wall});
}

TEST_CASE("a wall timer fires when the clock shows its time") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    int fired = 0;
    WallTimer timer(context, [&] { ++fired; });
    timer.arm_at(kNoon + 1h);
    wall.set(kNoon + 1h - 1ns);
    CHECK(!context.poll(false));
    wall.set(kNoon + 1h);
    CHECK(context.poll(true));
    CHECK(fired == 1);
    CHECK(!timer.pending());
  });
}

TEST_CASE(
    "a clock that is set back delays the timers, and one that is set forward fires them in order") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    std::string log;
    WallTimer late(context, [&] { log += 'l'; });
    WallTimer early(context, [&] { log += 'e'; });
    late.arm_at(kNoon + 2h);
    early.arm_at(kNoon + 1h);
    wall.set(kNoon - 24h);
    CHECK(!context.poll(false));
    wall.set(kNoon + 24h);
    CHECK(context.poll(false));
    CHECK(log == "el");
  });
}

TEST_CASE("a wall timer and a timer do not hear of each other's clock") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    WallTimer wall_timer(context, [] {});
    Timer timer(context, [] {});
    wall_timer.arm_at(kNoon + 1h);
    timer.arm_after(1h);
    wall.set(kNoon + 2h);
    CHECK(context.poll(false));
    CHECK(timer.pending());
    CHECK(timer.cancel());
    CHECK(!wall_timer.cancel());
  });
}

TEST_CASE("by the kernel's clock a wall timer fires, and is not early") {
  on_every_context([](Context& context) {
    WallTime fired_at;
    WallTimer timer(context, [&] { fired_at = std::chrono::system_clock::now(); });
    const WallTime deadline = std::chrono::system_clock::now() + 1ms;
    timer.arm_at(deadline);
    while (timer.pending()) {
      context.poll(true);
    }
    CHECK(fired_at >= deadline);
    // A wait that nothing ends: the watch for steps of the clock is quiet.
    context.notify();
    CHECK(!context.poll(true));
    CHECK(!context.poll(false));
  });
}

}  // namespace
}  // namespace coaio::testing
