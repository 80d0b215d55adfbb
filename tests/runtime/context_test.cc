#include "runtime/context.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "runtime/time/wall_clock.h"
#include "runtime/time/wall_timer.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("every back end that this machine allows runs a context") {
  for (const Backend backend : available_back_ends(true)) {
    const std::unique_ptr<Context> context = make_context({.backend = backend});
    CHECK(!context->poll(false));
    CHECK(!context->backend_reason().empty());
  }
}

TEST_CASE("a turn without anything to do is no progress, and does not sleep unless it may") {
  on_every_context([](Context& context) {
    CHECK(!context.poll(false));
    CHECK(context.stats().waits == 0);
    CHECK(context.stats().turns == 1);
  });
}

TEST_CASE("a turn runs bottom halves, then handlers, then timers") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const Pair pair = make_pipe();
        std::string log;
        BottomHalf half(context, [&] { log += 'b'; });
        Timer timer(context, [&] { log += 't'; });
        context.set_fd_handler(pair.a.get(), {.read = [&] { log += 'h'; }, .write = nullptr});
        context.poll(false);
        write_all(pair.b, "x");
        timer.arm_after(0ns);
        half.schedule();
        CHECK(context.poll(true));
        CHECK(log == "bht");
        context.set_fd_handler(pair.a.get(), {});
      },
      {.clock = &clock});
}

TEST_CASE("what a handler or a timer schedules runs in the next turn, which does not sleep") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const Pair pair = make_pipe();
        std::string log;
        BottomHalf half(context, [&] { log += 'b'; });
        context.set_fd_handler(pair.a.get(), {.read =
                                                  [&] {
                                                    read_all(pair.a);
                                                    half.schedule();
                                                  },
                                              .write = nullptr});
        write_all(pair.b, "x");
        CHECK(context.poll(true));
        CHECK(log.empty());
        CHECK(context.poll(true));
        CHECK(log == "b");
        Timer timer(context, [&] { half.schedule(); });
        timer.arm_after(0ns);
        context.poll(true);
        CHECK(log == "b");
        context.poll(true);
        CHECK(log == "bb");
        context.set_fd_handler(pair.a.get(), {});
      },
      {.clock = &clock});
}

TEST_CASE("each kind of work is progress") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const Pair pair = make_pipe();
        BottomHalf half(context, [] {});
        Timer timer(context, [] {});
        WallTimer wall_timer(context, [] {});
        FakePollSource slot;
        const ScopedPollSource added(context, slot);
        context.set_fd_handler(pair.a.get(), {.read = [&] { read_all(pair.a); }, .write = nullptr});
        CHECK(!context.poll(false));
        half.schedule();
        CHECK(context.poll(true));
        timer.arm_after(0ns);
        CHECK(context.poll(true));
        wall_timer.arm_at(WallTime());
        CHECK(context.poll(true));
        slot.full = true;
        CHECK(context.poll(true));
        write_all(pair.b, "x");
        CHECK(context.poll(true));
        CHECK(!context.poll(false));
        context.set_fd_handler(pair.a.get(), {});
      },
      {.clock = &clock});
}

TEST_CASE("a turn reads the clock for timers only") {
  struct CountedClock final : Clock {
    TimePoint now() const override { return ++readings, Clock::steady().now(); }
    std::chrono::nanoseconds until(TimePoint deadline) const override {
      return ++readings, Clock::steady().until(deadline);
    }
    mutable int readings = 0;
  };
  CountedClock clock;
  on_every_context(
      [&](Context& context) {
        BottomHalf half(context, [] {});
        clock.readings = 0;
        context.poll(false);
        half.schedule();
        context.poll(true);
        context.notify();
        context.poll(true);
        CHECK(clock.readings == 0);
        Timer timer(context, [] {});
        timer.arm_at(clock.now() + 1h);
        clock.readings = 0;
        context.poll(false);
        CHECK(clock.readings == 1);
      },
      {.clock = &clock});
}

// --- notify, stop, post -------------------------------------------------------------------------

TEST_CASE("a notification ends the next sleep and is no progress") {
  on_every_context([](Context& context) {
    context.notify();
    CHECK(!context.poll(true));
    CHECK(context.stats().wakeups == 1);
  });
}

TEST_CASE("a sleeping loop is woken by another thread, again and again") {
  on_every_context([](Context& context) {
    constexpr int kRounds = 200;
    context.bind();
    std::atomic<int> round{0};
    std::thread waker([&] {
      for (int i = 0; i < kRounds; ++i) {
        while (round.load(std::memory_order_acquire) < i) {
          std::this_thread::yield();
        }
        context.notify();
      }
    });
    for (int i = 1; i <= kRounds; ++i) {
      context.poll(true);
      round.store(i, std::memory_order_release);
    }
    waker.join();
    CHECK(context.stats().turns == kRounds);
  });
}

TEST_CASE("stop ends the run in progress, or the one that has not begun, once") {
  on_every_context([](Context& context) {
    context.stop();
    context.run();
    bool ran = false;
    BottomHalf half(context, [&] {
      ran = true;
      context.stop();
    });
    half.schedule();
    context.run();
    CHECK(ran);
    std::thread stopper([&] { context.stop(); });
    context.run();
    stopper.join();
  });
}

TEST_CASE("stop ends a run whose bottom halves never end") {
  on_every_context([](Context& context) {
    int runs = 0;
    std::unique_ptr<BottomHalf> endless;
    endless = std::make_unique<BottomHalf>(context, [&] {
      if (++runs == 10) {
        context.stop();
      }
      endless->schedule();
    });
    endless->schedule();
    context.run();
    CHECK(runs == 10);
  });
}

TEST_CASE("run looks at the kernel now and then, though its bottom halves never end") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    std::unique_ptr<BottomHalf> endless;
    endless = std::make_unique<BottomHalf>(context, [&] { endless->schedule(); });
    endless->schedule();
    context.set_fd_handler(pair.a.get(), {.read = [&] { context.stop(); }, .write = nullptr});
    write_all(pair.b, "x");
    context.run();
    context.set_fd_handler(pair.a.get(), {});
  });
}

TEST_CASE("a loop that is notified all the time still hears from the kernel") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    bool heard = false;
    context.set_fd_handler(pair.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
    std::atomic<bool> enough{false};
    std::thread pest([&] {
      while (!enough) {
        context.notify();
      }
    });
    context.poll(false);
    write_all(pair.b, "x");
    context.run_until(heard);
    enough = true;
    pest.join();
    context.set_fd_handler(pair.a.get(), {});
  });
}

TEST_CASE("posted functions run at home, in the order of posting") {
  on_every_context([](Context& context) {
    context.bind();
    const std::thread::id home = std::this_thread::get_id();
    std::string log;
    bool at_home = true;
    bool done = false;
    std::thread poster([&] {
      for (const char name : {'a', 'b', 'c'}) {
        context.post([&, name] {
          log += name;
          at_home &= std::this_thread::get_id() == home;
        });
      }
      context.post([&] { done = true; });
    });
    context.run_until(done);
    poster.join();
    CHECK(log == "abc");
    CHECK(at_home);
  });
}

TEST_CASE(
    "a function that was posted and never called is destroyed with the context, and may post") {
  std::vector<std::string> log;
  struct Parting {
    std::vector<std::string>& log;
    Context& context;
    ~Parting() {
      log.emplace_back("gone");
      context.post([&l = log] { l.emplace_back("never"); });
    }
  };
  {
    const std::unique_ptr<Context> context = make_context();
    context->post([parting = std::make_unique<Parting>(log, *context)] {});
  }
  CHECK(log == std::vector<std::string>{"gone"});
}

// --- home ---------------------------------------------------------------------------------------

TEST_CASE("a context made on one thread is run on another, and used here when that has ended") {
  for (const Backend backend : available_back_ends()) {
    const TestTimeout patience;
    const std::unique_ptr<Context> context = make_context({.backend = backend});
    bool ran = false;
    BottomHalf half(*context, [&] {
      ran = context->is_home();
      context->stop();
    });
    half.schedule();
    std::thread([&] { context->run(); }).join();
    CHECK(ran);
    CHECK(!context->is_home());
    half.schedule();
    half.cancel();
  }
}

TEST_CASE("the loop sees what was set up before it was bound") {
  for (const Backend backend : available_back_ends()) {
    const TestTimeout patience;
    const std::unique_ptr<Context> context = make_context({.backend = backend});
    const Pair pair = make_pipe();
    write_all(pair.b, "x");
    bool heard = false;
    context->set_fd_handler(pair.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
    std::thread([&] { context->run_until(heard); }).join();
    CHECK(heard);
    context->set_fd_handler(pair.a.get(), {});
  }
}

}  // namespace
}  // namespace coaio::testing
