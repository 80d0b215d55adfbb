#include "runtime/time/wall_timer.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "runtime/time/wall_clock.h"
#include "runtime/watched_fd.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// A clock on the wall that the test sets, also back. set() tells as the kernel does, adjust() does
// not.
class WallClockByHand final : public WallClock {
 public:
  TimePoint now() const override { return now_; }
  std::chrono::nanoseconds until(TimePoint deadline) const override {
    return deadline <= now() ? 0ns : FdMonitor::kForever;
  }
  UniqueFd step_notice() const override { return checked(dup(steps_.get())); }
  bool renew(const UniqueFd& notice) const override {
    ++renewals;
    return !read_all(notice).empty() && !refuses;
  }

  void adjust(WallTime time) { now_ = to_time_point(time); }
  void set(WallTime time) {
    adjust(time);
    const std::uint64_t one = 1;
    write_all(steps_, {reinterpret_cast<const char*>(&one), sizeof one});
  }

  mutable int renewals = 0;
  bool refuses = false;  // to tell of more steps

 private:
  std::atomic<TimePoint> now_{TimePoint()};
  UniqueFd steps_ = make_eventfd(0);
};

constexpr WallTime kNoon = WallTime(50 * 365 * 24h);

void on_every_wall(const std::function<void(Context&, WallClockByHand&)>& clause) {
  WallClockByHand wall;
  on_every_context(
      [&](Context& context) {
        wall.adjust(kNoon);
        clause(context, wall);
      },
      {.wall_clock = &wall});
}

TEST_CASE("a wall timer fires when the clock shows its time") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    int fired = 0;
    WallTimer timer(context, [&] { ++fired; });
    timer.arm_at(kNoon + 1h);
    wall.adjust(kNoon + 1h - 1ns);
    CHECK(!context.poll(false));
    wall.adjust(kNoon + 1h);
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
    wall.adjust(kNoon - 24h);
    CHECK(!context.poll(false));
    wall.adjust(kNoon + 24h);
    CHECK(context.poll(false));
    CHECK(log == "el");
  });
}

TEST_CASE(
    "a timer armed in the callback that sets the clock back keeps the time it was armed for") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    std::string log;
    WallTimer soon(context, [&] { log += 's'; });
    WallTimer half_hour(context, [&] { log += 'h'; });
    WallTimer far(context, [&] { log += 'f'; });
    WallTimer setter(context, [&] {
      wall.adjust(kNoon - 1h);
      half_hour.arm_at(kNoon - 30min);
      soon.arm_at(kNoon - 1h + 5ms);
    });
    far.arm_at(kNoon + 5h);
    setter.arm_at(kNoon);
    CHECK(context.poll(false));
    CHECK(log.empty());  // not early, by the old time
    CHECK(!context.poll(false));
    wall.adjust(kNoon - 1h + 5ms);
    CHECK(context.poll(false));
    CHECK(log == "s");  // not late, by the old time
    wall.adjust(kNoon - 30min - 1ns);
    CHECK(!context.poll(false));
    wall.adjust(kNoon - 30min);
    CHECK(context.poll(false));
    CHECK(log == "sh");
  });
}

TEST_CASE(
    "a timer armed in a turn that a wall timer nests, after the clock was set back, is on time") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    std::string log;
    WallTimer inner(context, [&] { log += 'i'; });
    BottomHalf half(context, [&] { inner.arm_at(kNoon - 1h + 5ms); });
    WallTimer outer(context, [&] {
      wall.adjust(kNoon - 1h);
      half.schedule();
      context.poll(false);
      CHECK(log.empty());
      wall.adjust(kNoon - 1h + 5ms);
      context.poll(false);
      log += 'o';
    });
    outer.arm_at(kNoon);
    context.poll(false);
    CHECK(log == "io");
  });
}

TEST_CASE("a wall timer that always re-arms itself in the past leaves the others their turn") {
  on_every_wall([](Context& context, WallClockByHand&) {
    std::string log;
    WallTimer always(context, [&] {
      log += 'a';
      always.arm_at(kNoon - 2h);
    });
    WallTimer other(context, [&] { log += 'o'; });
    always.arm_at(kNoon - 1h);
    other.arm_at(kNoon);
    context.poll(false);
    CHECK(log == "ao");
    context.poll(false);
    CHECK(log == "aoa");
  });
}

TEST_CASE("a wall timer and a timer do not hear of each other's clock") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    WallTimer wall_timer(context, [] {});
    Timer timer(context, [] {});
    wall_timer.arm_at(kNoon + 1h);
    timer.arm_after(1h);
    wall.adjust(kNoon + 2h);
    CHECK(context.poll(false));
    CHECK(timer.pending());
    CHECK(timer.cancel());
    CHECK(!wall_timer.cancel());
  });
}

TEST_CASE(
    "a loop that sleeps hears that the clock was set, each time, and sleeps by the new time") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    int fired = 0;
    WallTimer timer(context, [&] { ++fired; });
    timer.arm_at(kNoon + 1h);
    context.bind();
    for (const WallTime time : {kNoon - 24h, kNoon + 30min, kNoon + 2h}) {
      CHECK(fired == 0);
      const int before = wall.renewals;
      std::thread setter([&] { wall.set(time); });
      while (wall.renewals == before) {
        context.poll(true);
      }
      setter.join();
    }
    CHECK(fired == 1);
  });
}

TEST_CASE("where no further step can be noticed, the handler is removed before its descriptor is closed") {
  on_every_wall([](Context& context, WallClockByHand& wall) {
    WallTimer timer(context, [] {});
    timer.arm_at(kNoon);
    wall.refuses = true;
    wall.renewals = 0;
    wall.set(WallTime(1h));
    CHECK(context.poll(true));
    // The descriptor may now be another file's.
    const WatchedFd next(context, make_eventfd(0));
    context.poll(false);
    CHECK(wall.renewals == 1);
  });
}

// The kernel says of a timerfd how it was set; setting the clock to try it would disturb the
// machine.
TEST_CASE("the kernel is asked to tell of each step of its clock") {
  const UniqueFd notice = WallClock::system().step_notice();
  REQUIRE(notice.valid());
  for (int i = 0; i < 2; ++i) {
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(notice.get()));
    const std::string info{std::istreambuf_iterator<char>(file), {}};
    CAPTURE(info);
    CHECK(info.find("clockid: 0\n") != std::string::npos);
    CHECK(info.find("settime flags: 03\n") != std::string::npos);  // absolute, cancel on set
    CHECK(WallClock::system().renew(notice));
  }
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
