#include "tests/support/fake_monitor.h"

#include <chrono>
#include <vector>

#include "absl/status/status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

using std::chrono::nanoseconds;

constexpr Key kKey{.slot = 0, .generation = 1};

TEST_CASE("a fake reports what it is told to show") {
  FakeMonitor monitor;
  std::vector<FdEvent> ready;
  monitor.arm(7, kKey, Events::kIn, Trigger::kLevel);
  CHECK(monitor.peek() == Peek::kNothing);
  REQUIRE(monitor.wait(nanoseconds(0), ready).ok());
  CHECK(ready.empty());
  monitor.show(7, Events::kIn | Events::kOut);
  CHECK(monitor.peek() == Peek::kReady);
  REQUIRE(monitor.wait(FdMonitor::kForever, ready).ok());
  REQUIRE(ready.size() == 1);
  CHECK(ready.front().key == kKey);
  CHECK(ready.front().events == Events::kIn);
}

TEST_CASE("a fake sleep may show something, and the wait then reports it") {
  FakeMonitor monitor;
  nanoseconds asked{0};
  monitor.on_sleep([&](nanoseconds timeout) {
    asked = timeout;
    monitor.show(7, Events::kIn);
    return nanoseconds(1);
  });
  monitor.arm(7, kKey, Events::kIn, Trigger::kOneShot);
  std::vector<FdEvent> ready;
  REQUIRE(monitor.wait(nanoseconds(500), ready).ok());
  CHECK(ready.size() == 1);
  CHECK(asked == nanoseconds(500));
}

TEST_CASE("a fake sleep that shows nothing ends at the timeout, without taking time") {
  FakeMonitor monitor;
  monitor.arm(7, kKey, Events::kIn, Trigger::kOneShot);
  std::vector<FdEvent> ready;
  REQUIRE(monitor.wait(std::chrono::hours(24), ready).ok());
  CHECK(ready.empty());
  CHECK(monitor.waits() == 1);
}

TEST_CASE("a fake that refuses forgets no watch") {
  FakeMonitor monitor;
  monitor.arm(7, kKey, Events::kIn, Trigger::kOneShot);
  monitor.show(7, Events::kIn);
  monitor.refuse(absl::PermissionDeniedError("sandbox"));
  std::vector<FdEvent> ready;
  CHECK(absl::IsPermissionDenied(monitor.wait(nanoseconds(0), ready)));
  CHECK(ready.empty());
  monitor.refuse(absl::OkStatus());
  REQUIRE(monitor.wait(nanoseconds(0), ready).ok());
  CHECK(ready.size() == 1);
}

}  // namespace
}  // namespace coaio::testing
