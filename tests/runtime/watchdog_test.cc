#include "runtime/watchdog.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/activity.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "runtime/trace.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// A watchdog on a clock by hand, which checks when it is told to.
struct Scene {
  explicit Scene(Context& c) : context(c) {}

  // What a callback does that takes two seconds.
  void take_long() {
    watchdog.check();
    clock.advance(2s);
    watchdog.check();
    watchdog.check();
  }

  Context& context;
  ManualClock clock;
  std::vector<std::string> reports;
  Watchdog watchdog{context,
                    {.limit = 1s,
                     .report = [this](const std::string& sentence) { reports.push_back(sentence); },
                     .own_thread = false,
                     .clock = &clock}};
};

using Reports = std::vector<std::string>;

TEST_CASE("a handler that takes too long is named by its descriptor and its name, once") {
  on_every_context([](Context& context) {
    Scene scene(context);
    const Pair pair = make_pipe();
    const int fd = pair.a.get();
    context.set_fd_handler(fd, {.read =
                                    [&] {
                                      read_all(pair.a);
                                      scene.take_long();
                                    },
                                .write = nullptr,
                                .name = "requests"});
    write_all(pair.b, "x");
    context.poll(true);
    CHECK(scene.reports == Reports{"the handler of descriptor " + std::to_string(fd) +
                                   " (\"requests\") has been running for 2000 ms"});
    context.set_fd_handler(fd, {.read = [&] { scene.take_long(); }, .write = nullptr});
    write_all(pair.b, "x");
    context.poll(true);
    REQUIRE(scene.reports.size() == 2);
    CHECK(scene.reports[1] ==
          "the handler of descriptor " + std::to_string(fd) + " has been running for 2000 ms");
    context.set_fd_handler(fd, {});
  });
}

TEST_CASE("whatever takes too long is named by its kind") {
  on_every_context([](Context& context) {
    Scene scene(context);
    BottomHalf named(context, [&] { scene.take_long(); }, "flush");
    BottomHalf nameless(context, [&] { scene.take_long(); });
    IdleBottomHalf idle(context, [&] { scene.take_long(); });
    IdleBottomHalf named_idle(context, [&] { scene.take_long(); }, "tidy");
    Timer timer(context, [&] { scene.take_long(); });
    Timer named_timer(context, [&] { scene.take_long(); }, "tick");
    const UniqueFd doorbell = make_eventfd(0);
    FakePollSource slot;
    FakePollSource with_doorbell(doorbell);
    for (FakePollSource* one : {&slot, &with_doorbell}) {
      one->full = true;
      one->at_ready = [&scene, one] {
        one->full = false;
        scene.take_long();
      };
    }
    const ScopedPollSource added(context, slot);
    const ScopedPollSource also_added(context, with_doorbell);
    named.schedule();
    nameless.schedule();
    context.post([&] { scene.take_long(); });
    timer.arm_after(0ns);
    named_timer.arm_after(0ns);
    context.poll(false);
    idle.schedule();
    named_idle.schedule();
    context.poll(false);
    CHECK(scene.reports ==
          Reports{"the bottom half \"flush\" has been running for 2000 ms",
                  "a bottom half has been running for 2000 ms",
                  "a posted function has been running for 2000 ms",
                  "a poll source has been running for 2000 ms",
                  "the poll source with doorbell " + std::to_string(doorbell.get()) +
                      " has been running for 2000 ms",
                  "a timer has been running for 2000 ms",
                  "the timer \"tick\" has been running for 2000 ms",
                  "an idle bottom half has been running for 2000 ms",
                  "the idle bottom half \"tidy\" has been running for 2000 ms"});
  });
}

// The name outlives its bottom half, as its header asks for, and no longer.
TEST_CASE("a name that is freed by the callback itself is not read afterwards") {
  on_every_context([](Context& context) {
    Scene scene(context);
    auto name = std::make_unique<std::string>("a name that is freed while the watchdog looks on");
    const std::string copy = *name;
    std::unique_ptr<BottomHalf> half;
    half = std::make_unique<BottomHalf>(
        context,
        [&] {
          Scene& still_there = scene;
          std::unique_ptr<std::string>& freed = name;
          half.reset();
          freed->assign(freed->size(), 'x');
          freed.reset();
          still_there.take_long();
        },
        name->c_str());
    half->schedule();
    context.poll(false);
    CHECK(scene.reports ==
          Reports{"the bottom half \"" + copy + "\" has been running for 2000 ms"});
  });
}

TEST_CASE("a name of any length is reported, a long one by its beginning") {
  on_every_context([](Context& context) {
    Scene scene(context);
    Reports expected;
    for (const std::size_t length : {0U, 1U, 7U, 8U, 9U, 62U, 63U, 64U, 200U, 3U}) {
      std::string name;
      while (name.size() < length) {
        name += static_cast<char>('a' + name.size() % 26);
      }
      BottomHalf half(context, [&] { scene.take_long(); }, name.c_str());
      half.schedule();
      context.poll(false);
      expected.push_back("the bottom half \"" + name.substr(0, Activity::kNameBytes) +
                         "\" has been running for 2000 ms");
    }
    CHECK(scene.reports == expected);
  });
}

TEST_CASE("a waiter that readiness wakes and that takes too long is named by its descriptor") {
  struct Waiter : FdWaiter {
    Waiter(Scene& s, const Pair& p) : FdWaiter(&Waiter::wake), scene(s), pair(p) {}
    static void wake(FdWaiter& waiter, Events) {
      auto& self = static_cast<Waiter&>(waiter);
      read_all(self.pair.a);
      self.scene.take_long();
    }
    Scene& scene;
    const Pair& pair;
  };
  on_every_context([](Context& context) {
    Scene scene(context);
    const Pair pair = make_pipe();
    Waiter waiter(scene, pair);
    context.bind();
    ContextAccess(context).fds().wait(pair.a.get(), waiter, Events::kIn);
    write_all(pair.b, "x");
    context.poll(true);
    CHECK(scene.reports == Reports{"a task that waited for descriptor " +
                                   std::to_string(pair.a.get()) + " has been running for 2000 ms"});
  });
}

TEST_CASE("what returns in time is not reported, however much of it there is") {
  on_every_context([](Context& context) {
    Scene scene(context);
    const auto take_a_while = [&] {
      scene.watchdog.check();
      scene.clock.advance(600ms);
      scene.watchdog.check();
    };
    BottomHalf half(context, take_a_while);
    Timer first(context, take_a_while);
    Timer second(context, take_a_while);
    for (int i = 0; i < 5; ++i) {
      half.schedule();
      first.arm_after(0ns);
      second.arm_after(0ns);
      context.poll(false);
    }
    CHECK(scene.reports.empty());
  });
}

// The nested turn waits for what would come after it.
TEST_CASE("a callback that waits inside for what an outer one must finish is named") {
  on_every_context([](Context& context) {
    Scene scene(context);
    // The trace tells when the nested turn sleeps, but for the step into the kernel.
    std::atomic<bool> asleep{false};
    std::atomic<bool> over{false};
    context.set_trace(
        [&](const TraceEvent& event) { asleep = asleep || event.kind == TraceEvent::Kind::kWait; });
    BottomHalf outer(
        context,
        [&] {
          while (!over) {  // what the kernel still does for a ring of an earlier test may wake it
            context.poll(true);
          }
        },
        "outer");
    context.bind();
    std::thread onlooker([&] {
      while (!asleep.load()) {
        std::this_thread::yield();
      }
      scene.take_long();
      over = true;
      context.notify();
    });
    outer.schedule();
    context.poll(true);
    onlooker.join();
    CHECK(scene.reports == Reports{"the bottom half \"outer\" has been running for 2000 ms, and "
                                   "waits in a turn that it nests"});
  });
}

TEST_CASE("a loop that sleeps because it is idle is not reported") {
  ContextThread there;
  ManualClock clock;
  std::vector<std::string> reports;
  std::unique_ptr<Watchdog> watchdog;
  std::atomic<int> step{0};
  there.context().post([&] {
    watchdog = std::make_unique<Watchdog>(
        there.context(),
        WatchdogOptions{.limit = 1s,
                        .report = [&](const std::string& sentence) { reports.push_back(sentence); },
                        .own_thread = false,
                        .clock = &clock});
    step = 1;
  });
  while (step != 1) {
    std::this_thread::yield();
  }
  for (int i = 0; i < 100; ++i) {
    watchdog->check();
    clock.advance(1s);
  }
  there.context().post([&] {
    watchdog.reset();
    step = 2;
  });
  while (step != 2) {
    std::this_thread::yield();
  }
  CHECK(reports.empty());
}

TEST_CASE("a watchdog may be destroyed, and another one made, in a callback that it watches") {
  on_every_context([](Context& context) {
    auto scene = std::make_unique<Scene>(context);
    BottomHalf first(context, [&] {
      scene.reset();
      scene = std::make_unique<Scene>(context);
    });
    BottomHalf second(context, [&] { scene->take_long(); }, "second");
    first.schedule();
    second.schedule();
    context.poll(false);
    CHECK(scene->reports == Reports{"the bottom half \"second\" has been running for 2000 ms"});
  });
}

TEST_CASE("a watchdog without a report function tells only the sink of its context") {
  ManualClock clock;
  std::vector<std::string> told;
  const auto context =
      make_context({.sink = [&](absl::string_view sentence) { told.emplace_back(sentence); }});
  context->bind();
  Watchdog watchdog(*context,
                    {.limit = 1s, .report = nullptr, .own_thread = false, .clock = &clock});
  BottomHalf half(
      *context,
      [&] {
        watchdog.check();
        clock.advance(1s);
        watchdog.check();
      },
      "slow");
  half.schedule();
  context->poll(false);
  REQUIRE(told.size() == 1);
  CHECK(told.front() == "the bottom half \"slow\" has been running for 1000 ms");
  CHECK(context->messages() == 1);
}

TEST_CASE("a watchdog with a thread of its own reports while the callback is still running") {
  on_every_context([](Context& context) {
    std::atomic<bool> reported{false};
    Watchdog watchdog(context,
                      {.limit = 1ms, .report = [&](const std::string&) { reported = true; }});
    BottomHalf half(context, [&] {
      while (!reported) {
        std::this_thread::yield();
      }
    });
    half.schedule();
    context.poll(false);
    CHECK(reported);
  });
}

}  // namespace
}  // namespace coaio::testing
