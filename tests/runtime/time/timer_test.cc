#include "runtime/time/timer.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

void on_every_back_end_and_clock(const std::function<void(Context&, ManualClock&)>& clause) {
  ManualClock clock;
  on_every_context([&](Context& context) { clause(context, clock); }, {.clock = &clock});
}

TEST_CASE("a timer fires when its time has come, once, and not before") {
  on_every_back_end_and_clock([](Context& context, ManualClock& clock) {
    int fired = 0;
    Timer timer(context, [&] { ++fired; });
    timer.arm_after(10ns);
    clock.advance(9ns);
    CHECK(!context.poll(false));
    clock.advance(1ns);
    CHECK(context.poll(false));
    CHECK(fired == 1);
    CHECK(!timer.pending());
    CHECK(!context.poll(false));
  });
}

TEST_CASE("a timer that is due does not let the loop sleep") {
  on_every_back_end_and_clock([](Context& context, ManualClock&) {
    int fired = 0;
    Timer timer(context, [&] { ++fired; });
    timer.arm_after(0ns);
    CHECK(context.poll(true));
    CHECK(fired == 1);
  });
}

TEST_CASE("a blocking turn sleeps until the next deadline, by the clock, and never fires early") {
  on_every_context([](Context& context) {
    TimePoint fired_at;
    Timer timer(context, [&] { fired_at = context.now(); });
    const TimePoint deadline = context.now() + 2ms;
    timer.arm_at(deadline);
    while (timer.pending()) {
      context.poll(true);
    }
    CHECK(fired_at >= deadline);
    // One sleep, and perhaps a second for what the first one was short of.
    CHECK(context.stats().waits <= 2);
  });
}

TEST_CASE("equal deadlines fire in the order of arming, and re-arming moves to the end") {
  on_every_back_end_and_clock([](Context& context, ManualClock& clock) {
    std::string log;
    Timer a(context, [&] { log += 'a'; });
    Timer b(context, [&] { log += 'b'; });
    Timer c(context, [&] { log += 'c'; });
    const TimePoint deadline = clock.now() + 1ns;
    a.arm_at(deadline);
    b.arm_at(deadline);
    c.arm_at(deadline);
    a.arm_at(deadline);
    clock.advance(1ns);
    context.poll(false);
    CHECK(log == "bca");
  });
}

TEST_CASE("a callback may re-arm its timer, which fires in a later turn even if that is due") {
  on_every_back_end_and_clock([](Context& context, ManualClock& clock) {
    int fired = 0;
    std::unique_ptr<Timer> timer;
    timer = std::make_unique<Timer>(context, [&] {
      ++fired;
      timer->arm_at(clock.now() - 1s);
    });
    timer->arm_after(0ns);
    context.poll(false);
    CHECK(fired == 1);
    context.poll(false);
    CHECK(fired == 2);
  });
}

TEST_CASE("a timer may be deleted from its own callback, and cancelled from another one") {
  on_every_back_end_and_clock([](Context& context, ManualClock& clock) {
    std::string log;
    std::unique_ptr<Timer> own;
    Timer other(context, [&] { log += 'x'; });
    own = std::make_unique<Timer>(context, [&] {
      log += 'o';
      CHECK(other.cancel());
      own.reset();
    });
    own->arm_after(1ns);
    other.arm_after(1ns);
    clock.advance(1ns);
    context.poll(false);
    CHECK(log == "o");
    CHECK(!other.cancel());
  });
}

TEST_CASE("never is armed like any other time, and does not come") {
  on_every_back_end_and_clock([](Context& context, ManualClock& clock) {
    int fired = 0;
    Timer timer(context, [&] { ++fired; });
    timer.arm_after(std::chrono::nanoseconds::max());
    clock.advance(24h * 365);
    CHECK(!context.poll(false));
    CHECK(timer.pending());
    context.notify();
    CHECK(!context.poll(true));
    CHECK(fired == 0);
  });
}

TEST_CASE("a nested turn in a timer fires the timers that the outer turn has not come to") {
  on_every_back_end_and_clock([](Context& context, ManualClock& clock) {
    std::string log;
    Timer a(context, [&] {
      log += '(';
      context.poll(true);
      log += ')';
    });
    Timer b(context, [&] { log += 'b'; });
    a.arm_after(1ns);
    b.arm_after(2ns);
    clock.advance(2ns);
    context.poll(false);
    CHECK(log == "(b)");
  });
}

TEST_CASE("a timer armed by a bottom half of the same turn for now fires in that turn") {
  on_every_back_end_and_clock([](Context& context, ManualClock&) {
    std::string log;
    Timer timer(context, [&] { log += 't'; });
    BottomHalf half(context, [&] {
      log += 'b';
      timer.arm_after(0ns);
    });
    half.schedule();
    context.poll(false);
    CHECK(log == "bt");
  });
}

}  // namespace
}  // namespace coaio::testing
