#include "runtime/polling/wait_histogram.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr nanoseconds kWake = 30us;
constexpr std::uint32_t kWeight = 3;
constexpr nanoseconds kMissCost = kWeight * kWake;

// One event comes `wait` after the loop begins to wait.
void meet(WaitHistogram& budget, nanoseconds wait) {
  const nanoseconds polled = std::min(budget.budget(), wait);
  if (polled == wait) {
    budget.hit(polled);
  } else {
    budget.missed(polled, wait);
  }
}

void meet_often(WaitHistogram& budget, nanoseconds wait, int times) {
  for (int i = 0; i < times; ++i) {
    meet(budget, wait);
  }
}

TEST_CASE("a learned budget begins with what one blocked wait costs") {
  const WaitHistogram budget(kWeight, kWake);
  CHECK(budget.budget() == kMissCost);
}

TEST_CASE("a learned budget covers waits that are worth polling, and not much more") {
  WaitHistogram budget(kWeight, kWake);
  meet_often(budget, 5us, 100);
  CHECK(budget.budget() >= 5us);
  CHECK(budget.budget() <= 25us);
}

TEST_CASE("a learned budget does not poll for events that are too far away") {
  WaitHistogram budget(kWeight, kWake);
  meet_often(budget, 5ms, 20);
  CHECK(budget.budget() == 0us);
}

TEST_CASE("a learned budget explores two waits in a row, and less often the longer it is in vain") {
  WaitHistogram budget(kWeight, kWake);
  meet_often(budget, 5ms, 20);
  int explored = 0;
  for (int i = 0; i < 10'000; ++i) {
    explored += budget.budget() == kMissCost ? 1 : 0;
    meet(budget, 5ms);
  }
  CHECK(explored >= 10);
  CHECK(explored <= 40);
}

TEST_CASE("a learned budget is not locked into blocking by the cost of the wake") {
  WaitHistogram budget(kWeight, kWake);
  meet_often(budget, 5ms, 200);
  meet_often(budget, 20us, 16);
  CHECK(budget.budget() >= 20us);
}

TEST_CASE("a learned budget that believes in too short a wake finds out by exploring") {
  constexpr nanoseconds kTrueWake = 120us;
  WaitHistogram budget(1, kWake);
  for (int i = 0; i < 200; ++i) {
    const nanoseconds polled = std::min(budget.budget(), nanoseconds(10us));
    if (polled == 10us) {
      budget.hit(polled);
    } else {
      budget.missed(polled, 10us + kTrueWake - kWake);
    }
  }
  CHECK(budget.budget() >= 10us);
}

// The partner shares our CPU: an event comes as soon as we sleep, and never while we poll.
void meet_on_shared_cpu(WaitHistogram& budget) { budget.missed(budget.budget(), budget.budget()); }

TEST_CASE("a learned budget stops where polling itself keeps the event away") {
  WaitHistogram budget(kWeight, kWake);
  nanoseconds polled{0};
  for (int i = 0; i < 10'000; ++i) {
    polled += budget.budget();
    meet_on_shared_cpu(budget);
  }
  CHECK(polled / 10'000 < 3us);
}

TEST_CASE(
    "a long pause of a learned budget ends with two hits, also where the model expects them") {
  WaitHistogram budget(kWeight, kWake);
  // Until the longest pause has just begun.
  for (int i = 0, blocked = 0; i < 10'000 || blocked != 30; ++i) {
    blocked = budget.budget() == 0us ? blocked + 1 : 0;
    meet_on_shared_cpu(budget);
  }
  int waits = 0;
  for (int hits = 0; hits < 10; ++waits) {
    hits = budget.budget() >= 20us ? hits + 1 : 0;
    meet(budget, 20us);
  }
  CHECK(waits <= 1100);  // the interval from one exploration to the next is 1,024 at most
}

TEST_CASE(
    "waits without an event say nothing about a longer poll, and count against a shorter one") {
  WaitHistogram budget(kWeight, kWake);
  for (int i = 0; i < 100; ++i) {
    budget.silent(budget.budget(), kMissCost - 1ns);
  }
  CHECK(budget.budget() == kMissCost);
  for (int i = 0; i < 20; ++i) {
    budget.silent(budget.budget(), 5ms);
  }
  CHECK(budget.budget() == 0us);
}

TEST_CASE("a learned budget explores less and less where only timers end its waits") {
  WaitHistogram budget(kWeight, kWake);
  nanoseconds polled{0};
  for (int i = 0; i < 10'000; ++i) {
    polled += budget.budget();
    budget.silent(budget.budget(), 5ms);
  }
  CHECK(polled / 10'000 < 1us);
}

TEST_CASE("a dearer wake makes a learned budget longer") {
  WaitHistogram budget(1, kWake);
  meet_often(budget, 50us, 100);
  CHECK(budget.budget() == 0us);
  budget.set_wake_cost(4 * kWake);
  meet_often(budget, 50us, 100);
  CHECK(budget.budget() >= 50us);
}

TEST_CASE("the state of a learned budget is small") { CHECK(sizeof(WaitHistogram) <= 256); }

}  // namespace
}  // namespace coaio::testing
