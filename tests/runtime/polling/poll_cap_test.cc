#include "runtime/polling/poll_cap.h"

#include <chrono>
#include <numeric>
#include <vector>

#include "doctest/doctest.h"
#include "runtime/time/clock.h"

namespace coaio::testing {

using namespace internal;
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

TEST_CASE("polling takes at most its share of any 100 ms, and most of it") {
  for (const int percent : {1, 5, 20, 50, 99}) {
    CAPTURE(percent);
    ManualClock clock;
    PollCap cap(percent / 100.0);
    const nanoseconds allowed = percent * 1ms;
    // In steps of 10 ms, so that the windows overlap.
    std::vector<nanoseconds> polled;
    for (int i = 0; i < 50; ++i) {
      polled.push_back(poll_through(cap, clock, 10ms));
    }
    for (auto begin = polled.begin(); begin + 10 <= polled.end(); ++begin) {
      const nanoseconds in_window = std::accumulate(begin, begin + 10, nanoseconds(0));
      CHECK(in_window <= allowed);
      CHECK(in_window >= allowed * 6 / 10);
    }
  }
}

TEST_CASE("an idle time earns no more than polling all the time does") {
  ManualClock clock;
  PollCap cap(0.5);
  poll_through(cap, clock, 100ms);
  clock.advance(1h);
  CHECK(poll_through(cap, clock, 100ms) <= 50ms);
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

TEST_CASE("what was polled while there was no limit is not owed when there is one again") {
  ManualClock clock;
  PollCap cap(0.5);
  poll_through(cap, clock, 100ms);
  cap.limit(1.0);
  CHECK(poll_through(cap, clock, 10s) == 10s);
  cap.limit(0.5);
  const nanoseconds polled = poll_through(cap, clock, 100ms);
  CHECK(polled >= 40ms);
  CHECK(polled <= 50ms);
}

}  // namespace
}  // namespace coaio::testing
