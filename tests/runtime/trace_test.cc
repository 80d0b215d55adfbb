#include "runtime/trace.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/timer.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using Kind = TraceEvent::Kind;

// A wait that a notification ends in the moment in which the loop would sleep, and after which a
// bottom half runs; and its events.
std::vector<TraceEvent> trace_of_a_wait(Context& context) {
  std::vector<TraceEvent> events;
  BottomHalf half(context, [] {});
  context.set_trace([&](const TraceEvent& event) {
    events.push_back(event);
    if (event.kind == Kind::kWait) {
      half.schedule();
      context.notify();
    }
  });
  Timer timer(context, [] {});
  timer.arm_after(1h);
  context.poll(true);
  context.set_trace(nullptr);
  return events;
}

// A wait for a timer, and its events.
std::vector<TraceEvent> trace_of_a_wait_for(std::chrono::nanoseconds delay, Context& context) {
  std::vector<TraceEvent> events;
  context.set_trace([&](const TraceEvent& event) { events.push_back(event); });
  Timer timer(context, [] {});
  timer.arm_after(delay);
  while (timer.pending()) {
    context.poll(true);
  }
  context.set_trace(nullptr);
  return events;
}

std::vector<TraceEvent> of_kind(const std::vector<TraceEvent>& events, Kind kind) {
  std::vector<TraceEvent> chosen;
  std::copy_if(events.begin(), events.end(), std::back_inserter(chosen),
               [kind](const TraceEvent& event) { return event.kind == kind; });
  return chosen;
}

TEST_CASE("a trace tells of the sleep and of what was called after it") {
  on_every_context([](Context& context) {
    const std::vector<TraceEvent> events = trace_of_a_wait(context);
    REQUIRE(events.size() == 2);
    CHECK(events.front().kind == Kind::kWait);
    CHECK(events.front().duration <= 1h);
    CHECK(events.back().kind == Kind::kDispatch);
  });
}

TEST_CASE("a trace tells of polling, and for how long it was allowed and took") {
  on_every_context(
      [](Context& context) {
        const std::vector<TraceEvent> events = trace_of_a_wait(context);
        const std::vector<TraceEvent> begun = of_kind(events, Kind::kPollBegin);
        const std::vector<TraceEvent> ended = of_kind(events, Kind::kPollEnd);
        REQUIRE(begun.size() == 1);
        REQUIRE(ended.size() == 1);
        CHECK(begun.front().duration == 50us);
        CHECK(ended.front().duration == context.stats().polled);
        CHECK(ended.front().duration > 0us);
      },
      {.polling = PollFixed{.max = 50us}});
}

TEST_CASE("a trace tells what becomes of the poll budget") {
  on_every_context([](Context& context) {
    context.set_polling(PollGrowShrink{.max = 20ms, .shrink = 0});
    std::vector<TraceEvent> grown;
    while (grown.empty()) {
      grown = of_kind(trace_of_a_wait_for(200us, context), Kind::kPollGrow);
    }
    CHECK(grown.front().duration == 4us);
    std::vector<TraceEvent> shrunk;
    while (shrunk.empty()) {
      shrunk = of_kind(trace_of_a_wait_for(30ms, context), Kind::kPollShrink);
    }
    CHECK(shrunk.front().duration == 0us);
  });
}

TEST_CASE("a trace tells nothing of a turn without work, and of one with work once") {
  on_every_context([](Context& context) {
    int events = 0;
    context.set_trace([&](const TraceEvent& event) {
      CHECK(event.kind == Kind::kDispatch);
      ++events;
    });
    context.poll(false);
    CHECK(events == 0);
    BottomHalf half(context, [] {});
    half.schedule();
    context.poll(false);
    CHECK(events == 1);
    context.set_trace(nullptr);
  });
}

TEST_CASE("what a trace schedules or arms before a sleep is not slept on") {
  for (const PollPolicy& policy :
       {PollPolicy(PollOff{}), PollPolicy(PollFixed{.max = 20us}), PollPolicy(PollLearned{})}) {
    for (const Kind kind : {Kind::kWait, Kind::kPollBegin, Kind::kPollEnd}) {
      if (kind != Kind::kWait && !std::holds_alternative<PollFixed>(policy)) {
        continue;
      }
      on_every_context(
          [&](Context& context) {
            bool ran = false;
            bool fired = false;
            bool posted = false;
            BottomHalf half(context, [&] { ran = true; });
            Timer timer(context, [&] { fired = true; });
            bool told = false;
            context.set_trace([&](const TraceEvent& event) {
              if (event.kind == kind && !std::exchange(told, true)) {
                half.schedule();
                timer.arm_after(0ns);
                context.post([&] { posted = true; });
              }
            });
            context.poll(true);  // or for ever
            CHECK(ran);
            CHECK(fired);
            CHECK(posted);
            context.set_trace(nullptr);
          },
          {.polling = policy});
    }
  }
}

TEST_CASE("a timer that a trace arms ends the sleep that it tells of") {
  on_every_context([](Context& context) {
    bool fired = false;
    Timer timer(context, [&] { fired = true; });
    context.set_trace([&](const TraceEvent& event) {
      if (event.kind == Kind::kWait && !timer.pending()) {
        timer.arm_after(1ms);
      }
    });
    context.run_until(fired);
    CHECK(fired);
    context.set_trace(nullptr);
  });
}

}  // namespace
}  // namespace coaio::testing
