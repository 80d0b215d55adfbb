#include "runtime/poll_cap.h"

#include <chrono>

#include "doctest/doctest.h"
#include "runtime/clock.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// Polls whenever it may, 100 µs at a time, and returns for how long in all.
nanoseconds poll_through(PollCap& cap, ManualClock& clock, nanoseconds duration) {
  nanoseconds polled{0};
  for (const TimePoint end = clock.now() + duration; clock.now() < end; clock.advance(100us)) {
    if (cap.grants(clock.now(), 100us)) {
      cap.spend(100us);
      polled += 100us;
    }
  }
  return polled;
}

TEST_CASE("a whole CPU is no cap") {
  ManualClock clock;
  PollCap cap(1.0);
  CHECK(!cap.limits());
  CHECK(poll_through(cap, clock, 100ms) == 100ms);
}

TEST_CASE("polling takes at most its share of any 100 ms, and a burst of 5 ms") {
  ManualClock clock;
  PollCap cap(0.2);
  CHECK(poll_through(cap, clock, 100ms) <= 25ms);
  CHECK(poll_through(cap, clock, 100ms) <= 25ms);
  CHECK(poll_through(cap, clock, 1s) >= 190ms);
}

TEST_CASE("an idle time earns no more than the burst") {
  ManualClock clock;
  PollCap cap(0.5);
  clock.advance(1h);
  CHECK(poll_through(cap, clock, 100ms) <= 55ms);
}

TEST_CASE("a budget that is not covered is not granted at all") {
  ManualClock clock;
  PollCap cap(0.5);
  CHECK(!cap.grants(clock.now(), 6ms));
  CHECK(cap.grants(clock.now(), 5ms));
}

TEST_CASE("no share is no polling") {
  ManualClock clock;
  PollCap cap(0.0);
  CHECK(poll_through(cap, clock, 100ms) == 0ms);
}

}  // namespace
}  // namespace coaio::testing
