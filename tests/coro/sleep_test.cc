#include "coro/sleep.h"

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// Tasks that write down what happens, on a clock that only the test moves.
struct Scene {
  explicit Scene(Context& c) : context(c), group({c, {}}) {}

  Task<void> sleeper(char name, Duration delay) {
    const absl::Status status = co_await sleep_for(delay);
    log += status.ok() ? name : static_cast<char>(name - 'a' + 'A');
  }

  // Turns until nothing happens any more.
  void settle() {
    while (context.poll(false)) {
    }
  }

  void join() {
    CHECK(
        run(context,
            [](TaskGroup& tasks) -> Task<absl::Status> { co_return co_await tasks.join(); }(group))
            .ok());
  }

  Context& context;
  TaskGroup group;
  std::string log;
};

void on_every_scene(const std::function<void(Scene&, ManualClock&)>& clause) {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        Scene scene(context);
        clause(scene, clock);
        scene.join();
      },
      {.clock = &clock});
}

TEST_CASE("a sleep ends when its time has come, and not before") {
  on_every_scene([](Scene& scene, ManualClock& clock) {
    scene.group.spawn(scene.sleeper('a', 10ns));
    scene.settle();
    clock.advance(9ns);
    scene.settle();
    CHECK(scene.log.empty());
    clock.advance(1ns);
    scene.settle();
    CHECK(scene.log == "a");
  });
}

TEST_CASE("sleeps end in the order of their times, and equal ones in the order of asking") {
  on_every_scene([](Scene& scene, ManualClock& clock) {
    scene.group.spawn(scene.sleeper('a', 2ms));
    scene.group.spawn(scene.sleeper('b', 1ms));
    scene.group.spawn(scene.sleeper('c', 1ms));
    scene.settle();
    clock.advance(5ms);
    scene.settle();
    CHECK(scene.log == "bca");
  });
}

TEST_CASE("a time that has come already does not suspend") {
  on_every_context([](Context& context) {
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(0ns); }()).ok());
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(-1h); }()).ok());
    CHECK(run(context,
              []() -> Task<absl::Status> { co_return co_await sleep_until(TimePoint::min()); }())
              .ok());
  });
}

TEST_CASE("a real clock ends a sleep too") {
  on_every_context([](Context& context) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(1ms); }()).ok());
    CHECK(std::chrono::steady_clock::now() - begin >= 1ms);
  });
}

TEST_CASE("a sleep without end can be cancelled") {
  on_every_scene([](Scene& scene, ManualClock&) {
    scene.group.spawn(scene.sleeper('a', std::chrono::nanoseconds::max()));
    scene.settle();
    scene.group.cancel();
    scene.settle();
    CHECK(scene.log == "A");
  });
}

TEST_CASE("a sleep for ever, in any unit, does not end at once") {
  on_every_scene([](Scene& scene, ManualClock& clock) {
    scene.group.spawn(scene.sleeper('a', std::chrono::seconds::max()));
    scene.group.spawn(scene.sleeper('b', std::chrono::hours::max()));
    scene.group.spawn(scene.sleeper('c', std::chrono::years(600)));
    scene.group.spawn(scene.sleeper('d', std::chrono::duration<double>::max()));
    scene.group.spawn([](std::string& log) -> Task<void> {
      using Hours = std::chrono::time_point<std::chrono::steady_clock, std::chrono::hours>;
      const absl::Status status = co_await sleep_until(Hours::max());
      log += status.ok() ? 'e' : 'E';
    }(scene.log));
    scene.settle();
    clock.advance(24h * 365 * 50);
    scene.settle();
    CHECK(scene.log.empty());
    scene.group.cancel();
    scene.settle();
    CHECK(scene.log == "ABCDE");
  });
}

TEST_CASE("a sleep takes seconds as floating point, and time points of any unit") {
  on_every_scene([](Scene& scene, ManualClock& clock) {
    scene.group.spawn(scene.sleeper('a', 0.5s));
    scene.group.spawn([](ManualClock& now, std::string& log) -> Task<void> {
      using Seconds = std::chrono::duration<double>;
      const absl::Status status = co_await sleep_until(now.now() + Seconds(0.25));
      log += status.ok() ? 'b' : 'B';
    }(clock, scene.log));
    scene.settle();
    clock.advance(250ms);
    scene.settle();
    CHECK(scene.log == "b");
    clock.advance(250ms);
    scene.settle();
    CHECK(scene.log == "ba");
  });
}

TEST_CASE("a sleep of a task that has been cancelled does not begin") {
  on_every_scene([](Scene& scene, ManualClock&) {
    scene.group.cancel();
    scene.group.spawn(scene.sleeper('a', 1h));
    scene.settle();
    CHECK(scene.log == "A");
  });
}

TEST_CASE("a sleep that has ended does not hear of a cancellation") {
  on_every_scene([](Scene& scene, ManualClock& clock) {
    scene.group.spawn(scene.sleeper('a', 1h));
    scene.settle();
    clock.advance(1h);
    scene.settle();
    scene.group.cancel();
    scene.settle();
    CHECK(scene.log == "a");
  });
}

TEST_CASE("of a time and a cancellation in the same turn, the cancellation wins, once") {
  on_every_scene([](Scene& scene, ManualClock& clock) {
    scene.group.spawn(scene.sleeper('a', 1h));
    scene.settle();
    clock.advance(1h);
    scene.group.cancel();
    scene.settle();
    CHECK(scene.log == "A");  // a turn runs what is queued before it fires timers
  });
}

TEST_CASE("a task that minds no cancellation does not keep others from running") {
  on_every_context([](Context& context) {
    bool ran = false;
    TaskGroup group({context, {}});
    group.cancel();
    group.spawn([](const bool& other_ran) -> Task<void> {
      while (!other_ran) {
        (co_await sleep_for(1h)).IgnoreError();
      }
    }(ran));
    context.post([&] { context.post([&] { ran = true; }); });
    CHECK(
        run(context,
            [](TaskGroup& tasks) -> Task<absl::Status> { co_return co_await tasks.join(); }(group))
            .ok());
  });
}

TEST_CASE("a sleep that nobody awaits leaves no trace") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, []() -> Task<void> {
          const Sleep never_awaited = sleep_for(1h);
          co_return;
        }());
        clock.advance(2h);
        CHECK(!context.poll(false));
      },
      {.clock = &clock});
}

}  // namespace
}  // namespace coaio::testing
