#include "backends/kernel_timeout.h"

#include <chrono>
#include <limits>

#include "doctest/doctest.h"

namespace coaio {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

TEST_CASE("a timespec holds the timeout to the nanosecond") {
  CHECK(to_timespec(nanoseconds(0)).tv_nsec == 0);
  CHECK(to_timespec(nanoseconds(1)).tv_nsec == 1);
  CHECK(to_timespec(nanoseconds(999'999'999)).tv_sec == 0);
  CHECK(to_timespec(nanoseconds(1'000'000'000)).tv_sec == 1);
  CHECK(to_timespec(nanoseconds(2'000'000'001)).tv_nsec == 1);
}

TEST_CASE("the longest timeout is a timespec that the kernel accepts") {
  const timespec limit = to_timespec(nanoseconds::max());
  CHECK(limit.tv_sec == std::numeric_limits<nanoseconds::rep>::max() / 1'000'000'000);
  CHECK(limit.tv_nsec < 1'000'000'000);
}

TEST_CASE("a timeout in the past is zero") {
  CHECK(to_timespec(nanoseconds(-1)).tv_sec == 0);
  CHECK(to_timespec(nanoseconds(-1)).tv_nsec == 0);
}

}  // namespace
}  // namespace coaio
