// No load of bottom halves keeps run() from the kernel or from its timers. Time is a manual clock,
// which only the bottom halves advance.

#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// Bottom halves that do some work and schedule themselves again.
class Load {
 public:
  Load(Context& context, std::size_t count, absl::AnyInvocable<void()> work)
      : work_(std::move(work)) {
    for (std::size_t i = 0; i < count; ++i) {
      halves_.push_back(std::make_unique<BottomHalf>(context, [this, i] {
        work_();
        halves_[i]->schedule();
      }));
      halves_.back()->schedule();
    }
  }

 private:
  absl::AnyInvocable<void()> work_;
  std::vector<std::unique_ptr<BottomHalf>> halves_;
};

TEST_CASE("a thousand bottom halves that take long delay a due timer by the bound and one node") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        TimePoint due = TimePoint::max();
        int ran_late = 0;
        const Load load(context, 1000, [&] {
          clock.advance(10us);
          ran_late += clock.now() > due ? 1 : 0;
        });
        for (const int allowed : {33 + 6, 6, 6}) {  // at first a node may be short
          bool fired = false;
          Timer timer(context, [&] { fired = true; });
          ran_late = 0;
          due = clock.now() + 100us;
          timer.arm_at(due);
          context.run_until(fired);
          CHECK(ran_late <= allowed);
        }
      },
      {.clock = &clock, .time_between_looks = 50us});
}

TEST_CASE("bottom halves without end delay a ready descriptor by the bound, also within a batch") {
  ManualClock clock;  // stands still: the number of nodes is the bound
  on_every_context(
      [&](Context& context) {
        const UniqueFd event = make_eventfd(0);
        int nodes = 0;
        int written_at = 0;
        int heard_at = 0;
        bool done = false;
        context.set_fd_handler(event.get(), {.read =
                                                 [&] {
                                                   heard_at = nodes;
                                                   done = true;
                                                   context.set_fd_handler(event.get(), {});
                                                 },
                                             .write = nullptr});
        const Load load(context, 1000, [&] {
          if (++nodes == 3333) {
            written_at = nodes;
            REQUIRE(eventfd_write(event.get(), 1) == 0);
          }
        });
        context.run_until(done);
        CHECK(written_at == 3333);
        CHECK(heard_at - written_at <= 10);
      },
      {.clock = &clock, .nodes_between_looks = 10});
}

TEST_CASE("while bottom halves keep a loop busy, every slice is one turn") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        int nodes = 0;
        bool done = false;
        const Load load(context, 7, [&] { done = ++nodes >= 1000; });
        context.run_until(done);
        CHECK(nodes >= 1000);
        CHECK(nodes <= 1010);
        CHECK(context.stats().turns >= 99);
        CHECK(context.stats().turns <= 102);
      },
      {.clock = &clock, .nodes_between_looks = 10});
}

TEST_CASE("all bottom halves run in the order of scheduling, however many slices they take") {
  on_every_context(
      [](Context& context) {
        std::vector<std::unique_ptr<BottomHalf>> halves;
        std::vector<int> order;
        bool done = false;
        for (int i = 0; i < 100; ++i) {
          halves.push_back(std::make_unique<BottomHalf>(context, [&, i] {
            order.push_back(i);
            done = i == 99;
          }));
          halves.back()->schedule();
        }
        context.run_until(done);
        CHECK(order.size() == 100);
        CHECK(std::is_sorted(order.begin(), order.end()));
      },
      {.nodes_between_looks = 7});
}

TEST_CASE("poll() runs all bottom halves that were scheduled before it") {
  on_every_context(
      [](Context& context) {
        int nodes = 0;
        const Load load(context, 100, [&] { ++nodes; });
        context.poll(false);
        CHECK(nodes == 100);
      },
      {.nodes_between_looks = 7});
}

TEST_CASE("an idle bottom half waits while slices leave others") {
  on_every_context(
      [](Context& context) {
        int nodes = 0;
        bool idle = false;
        bool done = false;
        IdleBottomHalf half(context, [&] { idle = true; });
        half.schedule();
        const Load load(context, 20, [&] { done = ++nodes >= 200; });
        context.run_until(done);
        CHECK(!idle);
      },
      {.nodes_between_looks = 7});
}

}  // namespace
}  // namespace coaio::testing
