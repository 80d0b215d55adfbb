#include "runtime/time/duration.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>

#include "doctest/doctest.h"
#include "tests/support/abort_message.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration;
using std::chrono::nanoseconds;

constexpr nanoseconds kForEver = nanoseconds::max();
constexpr nanoseconds kLongAgo = nanoseconds::min();

TEST_CASE("for ever is for ever in every unit, and so is its opposite") {
  CHECK(saturate(nanoseconds::max()) == kForEver);
  CHECK(saturate(std::chrono::microseconds::max()) == kForEver);
  CHECK(saturate(std::chrono::seconds::max()) == kForEver);
  CHECK(saturate(std::chrono::hours::max()) == kForEver);
  CHECK(saturate(std::chrono::years(600)) == kForEver);
  CHECK(saturate(duration<double>::max()) == kForEver);
  CHECK(saturate(duration<double>(std::numeric_limits<double>::infinity())) == kForEver);
  CHECK(saturate(duration<std::uint64_t>::max()) == kForEver);
  CHECK(saturate(duration<std::uint64_t, std::nano>::max()) == kForEver);
  CHECK(saturate(nanoseconds::min()) == kLongAgo);
  CHECK(saturate(std::chrono::seconds::min()) == kLongAgo);
  CHECK(saturate(std::chrono::hours::min()) == kLongAgo);
  CHECK(saturate(duration<double>::min()) == kLongAgo);
}

TEST_CASE("the longest durations that fit are kept") {
  CHECK(saturate(9'223'372'036s) == 9'223'372'036s);
  CHECK(saturate(9'223'372'037s) == kForEver);
  CHECK(saturate(-9'223'372'036s) == -9'223'372'036s);
  CHECK(saturate(-9'223'372'037s) == kLongAgo);
  CHECK(saturate(duration<std::uint8_t, std::ratio<60>>(200)) == 200min);
}

TEST_CASE("what lies between two nanoseconds is not early") {
  using Picoseconds = duration<std::int64_t, std::pico>;
  CHECK(saturate(Picoseconds(1)) == 1ns);
  CHECK(saturate(Picoseconds(1000)) == 1ns);
  CHECK(saturate(Picoseconds(1001)) == 2ns);
  CHECK(saturate(Picoseconds(-1001)) == -1ns);
  CHECK(saturate(Picoseconds::max()) == 9'223'372'036'854'776ns);
}

TEST_CASE("floating point means what it says") {
  CHECK(saturate(duration<double>(0.1)) == 100ms);
  CHECK(saturate(duration<double>(-1.5)) == -1500ms);
  CHECK(saturate(duration<float, std::milli>(2.5F)) == 2500us);
  CHECK(abort_message([] {
          static_cast<void>(saturate(duration<double>(std::numeric_limits<double>::quiet_NaN())));
        }).find("not a number") != std::string::npos);
}

TEST_CASE("units that are no multiple of a nanosecond convert too") {
  using Frames = duration<int, std::ratio<1001, 30000>>;
  CHECK(saturate(Frames(30000)) == 1001s);
  CHECK(saturate(Frames(1)) == 33'366'667ns);
}

TEST_CASE("a time point saturates like a duration") {
  using Hours = std::chrono::time_point<std::chrono::steady_clock, std::chrono::hours>;
  CHECK(saturate(Hours::max()) == std::chrono::steady_clock::time_point::max());
  CHECK(saturate(Hours::min()) == std::chrono::steady_clock::time_point::min());
  CHECK(saturate(Hours(2h)) == std::chrono::steady_clock::time_point(2h));
}

TEST_CASE("any duration is taken where a Duration is asked for") {
  const auto taken = [](Duration d) { return nanoseconds(d); };
  CHECK(taken(1h) == 1h);
  CHECK(taken(0.5s) == 500ms);
  CHECK(taken(std::chrono::hours::max()) == kForEver);
  constexpr Duration kSaturated = std::chrono::hours::max();
  static_assert(kSaturated == kForEver);
}

}  // namespace
}  // namespace coaio::testing
