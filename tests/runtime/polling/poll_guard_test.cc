#include "runtime/polling/poll_guard.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include "doctest/doctest.h"
#include "runtime/time/clock.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// What the kernel would say. A plain function answers for it, so it is one for all.
double g_quota = 0;
PollEnvironment::Thread g_thread;

PollEnvironment fake_environment(double quota, bool one_cpu) {
  g_quota = quota;
  g_thread = {.involuntary_switches = 1000, .one_cpu = one_cpu};
  return {.cpu_quota = [] { return g_quota; }, .calling_thread = [] { return g_thread; }};
}

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

// A guard, and polls under it.
struct Scene {
  explicit Scene(double quota = kNoQuota, bool one_cpu = false, double share = 1.0)
      : guard(share, fake_environment(quota, one_cpu), stats) {}

  bool granted() { return guard.grants(clock.now(), 100us); }
  bool still_granted_after(nanoseconds time) {
    clock.advance(time);
    return granted();
  }

  void end(const PollRecord& poll, nanoseconds slept = 0us) {
    clock.advance(poll.duration());
    guard.spend(clock.now(), poll);
    guard.record_outcome(clock.now(), poll, slept);
  }
  // 100 µs of probes that find nothing, and a sleep until the event.
  void miss(nanoseconds slept = 20us) { end(probes_until(100us, false), slept); }
  void hit() { end(probes_until(100us, true)); }
  void hit_at_once() { end(PollRecord()); }
  // Another thread has the CPU for most of the time.
  void be_interrupted(bool found) {
    PollRecord poll = probes_until(20us, false);
    poll.probed(100us, found);
    end(poll);
  }

  static PollRecord probes_until(nanoseconds end, bool found) {
    PollRecord poll;
    for (nanoseconds time = 1us; time < end; time += 1us) {
      poll.probed(time, false);
    }
    poll.probed(end, found);
    return poll;
  }

  // Polls whenever it may, and returns for how long in all.
  nanoseconds poll_through(nanoseconds duration) {
    nanoseconds polled{0};
    for (const TimePoint end_of_time = clock.now() + duration; clock.now() < end_of_time;) {
      if (granted()) {
        hit();
        polled += 100us;
      } else {
        clock.advance(100us);
      }
    }
    return polled;
  }

  ManualClock clock;
  PollGuardStats stats;
  PollGuard guard;
};

// --- the share of the user and the quota of the cgroup ------------------------------------------

TEST_CASE("without limits and contention, polling goes on and on") {
  Scene scene;
  CHECK(scene.poll_through(1s) == 1s);
}

TEST_CASE("the share of the user binds, and what it forbids is counted") {
  Scene scene(kNoQuota, false, 0.2);
  CHECK(scene.poll_through(100ms) <= 20ms);
  CHECK(scene.stats.over_share > 0);
  CHECK(scene.stats.over_quota == 0);
}

TEST_CASE("polling takes at most half of the quota of the cgroup over any 100 ms, and counts it") {
  for (const double quota : {1.5, 1.0, 0.5, 0.1}) {
    CAPTURE(quota);
    Scene scene(quota);
    const auto half = std::chrono::duration_cast<nanoseconds>(quota * 50ms);
    for (int i = 0; i < 5; ++i) {
      const nanoseconds polled = scene.poll_through(100ms);
      CHECK(polled <= half);
      CHECK(polled >= half / 2);
    }
    CHECK(scene.stats.over_quota > 0);
    CHECK(scene.stats.over_share == 0);
  }
}

TEST_CASE("the longest grant is what a full quota covers, and is granted") {
  Scene scene(0.2);  // half of it, a quarter of that in 100 ms
  scene.granted();   // reads the quota
  CHECK(scene.guard.longest_grant() == 2500us);
  scene.clock.advance(1s);
  CHECK(scene.guard.grants(scene.clock.now(), scene.guard.longest_grant()));
  CHECK(!scene.guard.grants(scene.clock.now(), scene.guard.longest_grant() + 1ns));
}

TEST_CASE("the contexts of a process divide the quota") {
  Scene first(1.0);
  const nanoseconds alone = first.poll_through(1s);
  {
    Scene second(1.0);
    CHECK(second.granted());
    CHECK(first.poll_through(1s) <= alone * 6 / 10);
  }
  CHECK(first.poll_through(1s) >= alone * 9 / 10);
}

TEST_CASE(
    "a context that had a quota of two CPUs for itself for a while polls on when it shares it") {
  const auto share_it = [](Scene& scene) {
    Scene other(2.0);
    CHECK(other.granted());
    scene.poll_through(100ms);
    return scene.poll_through(100ms);
  };
  Scene scene(2.0);
  const nanoseconds shared = share_it(scene);
  CHECK(scene.poll_through(1s) == 1s);
  CHECK(share_it(scene) >= shared / 2);
}

TEST_CASE("a large quota limits nothing") {
  Scene scene(64);
  CHECK(scene.poll_through(1s) == 1s);
}

// --- others want the CPU ------------------------------------------------------------------------

TEST_CASE("polling pauses for a second when the CPU is taken from the loop again and again") {
  Scene scene;
  for (int i = 0; i < 1000 && scene.granted(); ++i) {
    ++g_thread.involuntary_switches;
    scene.be_interrupted(true);
  }
  CHECK(!scene.granted());
  CHECK(scene.stats.crowded == 1);
  CHECK(!scene.still_granted_after(900ms));
  CHECK(scene.still_granted_after(101ms));
  CHECK(scene.poll_through(1s) == 1s);
  CHECK(scene.stats.crowded == 1);
}

TEST_CASE("a long poll pauses as well when others want the CPU") {
  Scene scene;
  REQUIRE(scene.granted());
  PollRecord poll = Scene::probes_until(10us, false);
  CHECK(scene.guard.may_continue(scene.clock.now(), poll));
  g_thread.involuntary_switches += 20;
  poll.probed(60ms, false);
  CHECK(!scene.guard.may_continue(scene.clock.now(), poll));
  scene.end(poll);
  CHECK(scene.stats.crowded == 1);
}

TEST_CASE("involuntary switches that take no time do not stop the polling") {
  Scene scene;
  for (int i = 0; i < 2000; ++i) {
    g_thread.involuntary_switches += 10;
    CHECK(scene.granted());
    scene.hit();
  }
  CHECK(scene.stats.crowded == 0);
}

TEST_CASE("time that a hypervisor takes does not stop the polling") {
  Scene scene;
  for (int i = 0; i < 2000; ++i) {
    CHECK(scene.granted());
    scene.be_interrupted(true);
  }
  CHECK(scene.stats.crowded == 0);
}

TEST_CASE("a new home thread, which was interrupted less often, is no sign of a crowd") {
  Scene scene;
  REQUIRE(scene.granted());
  g_thread.involuntary_switches = 3;
  for (int i = 0; i < 600; ++i) {
    scene.be_interrupted(true);
  }
  CHECK(scene.stats.crowded == 0);
}

// --- the partner needs this CPU -----------------------------------------------------------------

TEST_CASE("with one CPU, polling pauses when events come as soon as the loop sleeps") {
  Scene scene(kNoQuota, true);
  for (int i = 0; i < 31; ++i) {
    scene.miss();
  }
  CHECK(scene.granted());
  scene.miss();
  CHECK(!scene.granted());
  CHECK(scene.stats.shared_cpu == 1);
  CHECK(scene.still_granted_after(1001ms));
}

TEST_CASE("with one CPU, an event that came while the CPU was away proves nothing") {
  Scene scene(kNoQuota, true);
  for (int i = 0; i < 32; ++i) {
    scene.be_interrupted(true);
  }
  CHECK(scene.stats.shared_cpu == 1);
}

TEST_CASE("with one CPU, a few long polls are as bad as many short ones") {
  Scene scene(kNoQuota, true);
  PollRecord poll = Scene::probes_until(20us, false);
  poll.probed(20ms, false);
  scene.end(poll);
  CHECK(scene.stats.shared_cpu == 1);
}

TEST_CASE("with one CPU, events that take longer than the poll lasted are simply far away") {
  Scene scene(kNoQuota, true);
  for (int i = 0; i < 1000; ++i) {
    scene.miss(101us);
  }
  CHECK(scene.granted());
  CHECK(scene.stats.shared_cpu == 0);
}

TEST_CASE("with one CPU, an event that was found by polling shows that the partner has its own") {
  Scene scene(kNoQuota, true);
  for (int i = 0; i < 200; ++i) {
    for (int j = 0; j < 31; ++j) {
      scene.miss();
    }
    scene.hit();
  }
  CHECK(scene.granted());
  CHECK(scene.stats.shared_cpu == 0);
}

TEST_CASE("an event that was there at once neither proves anything nor costs anything") {
  Scene scene(kNoQuota, true);
  for (int i = 0; i < 100; ++i) {
    scene.hit_at_once();
  }
  CHECK(scene.granted());
  for (int i = 0; i < 31; ++i) {
    scene.miss();
    scene.hit_at_once();
  }
  scene.miss();
  CHECK(scene.stats.shared_cpu == 1);
}

TEST_CASE("with several CPUs, polls that miss are left to the policy") {
  Scene scene;
  for (int i = 0; i < 1000; ++i) {
    scene.miss();
  }
  CHECK(scene.granted());
  CHECK(scene.stats.shared_cpu == 0);
}

TEST_CASE("a guard that ignores its environment is limited by the share of the user alone") {
  PollGuardStats stats;
  PollGuard guard(1.0, PollEnvironment::ignored(), stats);
  ManualClock clock;
  CHECK(guard.grants(clock.now(), 1h));
  for (int i = 0; i < 100; ++i) {
    guard.record_outcome(clock.now(), Scene::probes_until(100us, false), 20us);
  }
  CHECK(guard.grants(clock.now(), 1h));
}

}  // namespace
}  // namespace coaio::testing
