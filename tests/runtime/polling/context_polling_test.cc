// How a context polls before it sleeps.

#include <chrono>
#include <cstdint>
#include <thread>

#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/timer.h"
#include "runtime/trace.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE(
    "a loop that polls hears a notification, a bottom half and a descriptor without sleeping") {
  on_every_context(
      [](Context& context) {
        context.bind();
        const Pair pair = make_pipe();
        context.set_fd_handler(pair.a.get(), {.read = [&] { read_all(pair.a); }, .write = nullptr});
        context.poll(false);
        std::thread([&] { context.notify(); }).join();
        CHECK(!context.poll(true));
        BottomHalf half(context, [] {});
        std::thread scheduler([&] { half.schedule(); });
        while (!context.poll(true)) {
        }
        scheduler.join();
        std::thread writer([&] { write_all(pair.b, "x"); });
        CHECK(context.poll(true));
        writer.join();
        CHECK(context.stats().waits == 0);
        context.set_fd_handler(pair.a.get(), {});
      },
      {.polling = PollFixed{.max = 40s}});
}

// QEMU's trap: what was armed since the last wait is not known to the kernel yet, and polling would
// never see it.
TEST_CASE("a descriptor that is armed right before a poll is heard by polling") {
  constexpr int kTimes = 50;
  on_every_context(
      [](Context& context) {
        context.bind();
        const Pair pair = make_unix_pair();
        int heard = 0;
        const auto arm = [&](const auto& self) -> void {
          context.set_fd_handler(pair.a.get(), {.read =
                                                    [&] {
                                                      read_all(pair.a);
                                                      context.set_fd_handler(pair.a.get(), {});
                                                      ++heard;
                                                      self(self);
                                                    },
                                                .write = nullptr});
        };
        arm(arm);
        for (int i = 0; i < kTimes; ++i) {
          std::thread writer([&] { write_all(pair.b, "x"); });
          while (heard == i) {
            context.poll(true);
          }
          writer.join();
        }
        CHECK(context.stats().waits == 0);
        context.set_fd_handler(pair.a.get(), {});
      },
      {.polling = PollFixed{.max = 40s}});
}

TEST_CASE("an idle loop goes to sleep at once, or after one poll, and stays asleep") {
  for (const PollPolicy& policy : {PollPolicy(PollOff{}), PollPolicy(PollFixed{.max = 100us}),
                                   PollPolicy(PollGrowShrink{}), PollPolicy(PollLearned{})}) {
    on_every_context(
        [](Context& context) {
          Timer timer(context, [] {});
          timer.arm_after(50ms);
          while (timer.pending()) {
            context.poll(true);
          }
          CHECK(context.stats().turns <= 3);
          CHECK(context.stats().polls <= 4);  // at the begin, and right before the timer
        },
        {.polling = policy});
  }
}

TEST_CASE("a loop that polls in vain sleeps until the deadline and no longer") {
  on_every_context(
      [](Context& context) {
        int fired = 0;
        Timer timer(context, [&] { ++fired; });
        timer.arm_after(20ms);
        std::chrono::nanoseconds slept{0};
        context.set_trace([&](const TraceEvent& event) {
          slept = event.kind == TraceEvent::Kind::kWait ? event.duration : slept;
        });
        while (fired == 0) {
          context.poll(true);
        }
        context.set_trace(nullptr);
        CHECK(context.stats().polls != 0);
        CHECK(context.stats().polled > 0us);
        CHECK(slept <= 20ms - 100us);
      },
      {.polling = PollFixed{.max = 100us}});
}

std::uint64_t polls_of_a_wait(Context& context) {
  const std::uint64_t before = context.stats().polls;
  Timer timer(context, [] {});
  timer.arm_after(20ms);
  while (timer.pending()) {
    context.poll(true);
  }
  return context.stats().polls - before;
}

TEST_CASE("a change of policy takes effect with the next wait") {
  on_every_context([](Context& context) {
    CHECK(polls_of_a_wait(context) == 0);
    context.set_polling(PollFixed{.max = 10us});
    CHECK(polls_of_a_wait(context) != 0);
    context.set_polling(PollOff{});
    CHECK(polls_of_a_wait(context) == 0);
  });
}

// A wait that is taken for longer than the maximum sets the window to zero.
TEST_CASE("the time of handlers is no time of waiting") {
  constexpr auto kMax = 200ms;
  on_every_context(
      [&](Context& context) {
        const auto wait = [&](std::chrono::nanoseconds work) {
          Timer timer(context, [&] {
            const auto end = std::chrono::steady_clock::now() + work;
            while (std::chrono::steady_clock::now() < end) {
            }
          });
          timer.arm_after(5ms);
          while (timer.pending()) {
            context.poll(true);
          }
        };
        wait(0ms);
        wait(0ms);
        const std::uint64_t polls = context.stats().polls;
        CHECK(polls != 0);
        wait(kMax);
        wait(0ms);
        CHECK(context.stats().polls >= polls + 2);
      },
      {.polling = PollGrowShrink{.max = kMax, .shrink = 0}});
}

// For waits for a timer that are as a whole the last stretch before it.
TEST_CASE("a loop that may not poll before its timers sleeps towards them, and does not turn") {
  on_every_context(
      [](Context& context) {
        Timer timer(context, [] {});
        timer.arm_after(20ms);
        while (timer.pending()) {
          context.poll(true);
        }
        CHECK(context.stats().guard.over_share != 0);
        CHECK(context.stats().polled == 0ns);
        CHECK(context.stats().turns <= 3);
      },
      {.polling = PollLearned{.wake_cost = 1s}, .polling_share = 0});
}

TEST_CASE("the share of polling can be changed while the loop runs") {
  on_every_context(
      [](Context& context) {
        CHECK(polls_of_a_wait(context) != 0);
        context.set_polling_share(0);
        CHECK(polls_of_a_wait(context) == 0);
        context.set_polling_share(1);
        CHECK(polls_of_a_wait(context) != 0);
      },
      {.polling = PollFixed{.max = 10us}});
}

// A timerfd stands for a partner that sends at steady intervals, and then no more. A late poll that
// was in vain leaves the loop its sleep: one turn, and not one for each interval.
TEST_CASE("a loop that polls late sleeps without turning when a steady partner falls silent") {
  on_every_context(
      [](Context& context) {
        constexpr auto kInterval = 5ms;
        const UniqueFd partner = make_periodic_timer(kInterval);
        int heard = 0;
        context.set_fd_handler(partner.get(), {.read =
                                                   [&] {
                                                     read_all(partner);
                                                     ++heard;
                                                   },
                                               .write = nullptr});
        while (heard < 20) {
          context.poll(true);
        }
        context.set_fd_handler(partner.get(), {});
        Timer timer(context, [] {});
        timer.arm_after(20 * kInterval);
        const std::uint64_t before = context.stats().turns;
        while (timer.pending()) {
          context.poll(true);
        }
        CHECK(context.stats().turns - before <= 5);
      },
      {.polling = PollLearned{.wake_cost = 500us, .late = true}});
}

}  // namespace
}  // namespace coaio::testing
