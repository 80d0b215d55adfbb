// Budgets and the kernel's part, on a scripted monitor. Behaviour in a loop: poll_source_test.cc.

#include "runtime/source_list.h"

#include <chrono>

#include "doctest/doctest.h"
#include "runtime/fd_table.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/clock.h"
#include "tests/support/fake_monitor.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

struct Source final : PollSource {
  using PollSource::PollSource;
  bool poll() override { return full; }
  void on_ready() override { full = false; }
  bool full = false;
};

struct Scene {
  explicit Scene(const PollPolicy& policy) : sources(table, clock, 7s, policy) {}

  // The source becomes ready after such a wait.
  void wait(Source& source, std::chrono::nanoseconds duration) {
    source.full = true;
    sources.look();
    sources.waited({.polled = 0ns, .blocked = duration, .by_event = true});
    sources.dispatch();
  }

  FakeMonitor monitor;
  FdTable table{monitor};
  ManualClock clock;
  SourceList sources;
};

TEST_CASE("each source has a budget, the largest counts, and only a ready source learns") {
  Scene scene(PollGrowShrink{.max = 100us});
  Source fast;
  Source slow;
  scene.sources.add(fast);
  scene.sources.add(slow);
  CHECK(scene.sources.learns());
  CHECK(scene.sources.budget() == 0us);
  scene.wait(fast, 10us);
  CHECK(scene.sources.budget() == 4us);
  scene.wait(fast, 10us);
  CHECK(scene.sources.budget() == 8us);
  // One budget for both would now be zero.
  scene.wait(slow, 5ms);
  CHECK(scene.sources.budget() == 8us);
  scene.wait(slow, 10us);
  CHECK(scene.sources.budget() == 8us);
  scene.wait(fast, 5ms);
  CHECK(scene.sources.budget() == 4us);
  scene.sources.remove(slow);
  CHECK(scene.sources.budget() == 0us);
  scene.sources.remove(fast);
}

TEST_CASE("an idle source has no say in the budget, nor one that is being called") {
  Scene scene(PollFixed{.max = 50us});
  Source source(7);
  scene.sources.add(source);
  CHECK(scene.sources.budget() == 50us);
  scene.sources.end_polling();
  scene.clock.advance(8s);
  scene.sources.end_polling();
  CHECK(scene.sources.budget() == 0us);
  CHECK(!scene.sources.polls());
  scene.sources.remove(source);
}

TEST_CASE("a new policy is for every source, also for those that are away or being called") {
  Scene scene(PollOff{});
  struct Changer final : PollSource {
    explicit Changer(SourceList& sources) : list(sources) {}
    bool poll() override { return true; }
    void on_ready() override { list.set_policy(PollFixed{.max = 9us}); }
    SourceList& list;
  } changer(scene.sources);
  scene.sources.add(changer);
  scene.sources.look();
  CHECK(scene.sources.dispatch());
  CHECK(scene.sources.budget() == 9us);
  scene.sources.remove(changer);
}

TEST_CASE("what the learned policy learns is the context's") {
  Scene scene(PollLearned{.latency_weight = 3, .wake_cost = 30us});
  Source source;
  scene.sources.add(source);
  CHECK(!scene.sources.learns());
  CHECK(scene.sources.budget() == 0us);
  scene.sources.remove(source);
}

TEST_CASE("the doorbell of a source that is polled is no reason to ask the kernel") {
  Scene scene(PollOff{});
  Source source(7);
  scene.sources.add(source);
  scene.table.looked();
  CHECK(scene.sources.polled_doorbells() == 1);
  CHECK(!scene.table.worth_a_look(scene.sources.polled_doorbells()));
  scene.sources.end_polling();
  scene.clock.advance(8s);
  scene.sources.end_polling();
  CHECK(scene.sources.polled_doorbells() == 0);
  CHECK(scene.table.worth_a_look(scene.sources.polled_doorbells()));
  scene.sources.remove(source);
  CHECK(scene.sources.polled_doorbells() == 0);
}

}  // namespace
}  // namespace coaio::testing
