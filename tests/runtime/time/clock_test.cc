#include "runtime/time/clock.h"

#include <chrono>
#include <string>

#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/abort_message.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("a manual clock stands still until it is moved") {
  ManualClock clock;
  const TimePoint begin = clock.now();
  CHECK(clock.now() == begin);
  clock.advance(3ns);
  CHECK(clock.now() == begin + 3ns);
  clock.advance_to(begin + 1h);
  CHECK(clock.now() == begin + 1h);
}

TEST_CASE("a manual clock is not waited for: only a call moves it") {
  ManualClock clock;
  CHECK(clock.until(clock.now()) == 0ns);
  CHECK(clock.until(clock.now() - 1ns) == 0ns);
  CHECK(clock.until(clock.now() + 1ns) == FdMonitor::kForever);
}

TEST_CASE("a manual clock does not move backwards") {
  CHECK(abort_message([] {
          ManualClock clock;
          clock.advance(-1ns);
        }).find("backwards") != std::string::npos);
}

TEST_CASE("the steady clock waits for what is to come, and not for what has passed") {
  const Clock& clock = Clock::steady();
  const TimePoint now = clock.now();
  CHECK(clock.now() >= now);
  CHECK(clock.until(now) == 0ns);
  CHECK(clock.until(now + 1h) <= 1h);
  CHECK(clock.until(now + 1h) > 0ns);
}

TEST_CASE("the ends of time are no numbers to calculate with") {
  const Clock& clock = Clock::steady();
  CHECK(clock.until(TimePoint::max()) == FdMonitor::kForever);
  CHECK(clock.until(TimePoint::max() - 1ns) > 24h);
  CHECK(clock.until(TimePoint::min()) == 0ns);
}

TEST_CASE("adding to a time saturates instead of wrapping") {
  const TimePoint middle(1h);
  CHECK(saturating_add(middle, 1ns) == middle + 1ns);
  CHECK(saturating_add(middle, -1ns) == middle - 1ns);
  CHECK(saturating_add(middle, nanoseconds::max()) == TimePoint::max());
  CHECK(saturating_add(TimePoint::max(), nanoseconds::max()) == TimePoint::max());
  CHECK(saturating_add(TimePoint::max(), 0ns) == TimePoint::max());
  CHECK(saturating_add(TimePoint(-1h), nanoseconds::min()) == TimePoint::min());
  CHECK(saturating_add(TimePoint::min(), nanoseconds::min()) == TimePoint::min());
  CHECK(saturating_add(TimePoint::max(), nanoseconds::min()) == TimePoint(-1ns));
}

}  // namespace
}  // namespace coaio::testing
