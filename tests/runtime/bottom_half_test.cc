#include "runtime/bottom_half.h"

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/trace.h"
#include "tests/support/contexts.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

TEST_CASE("a bottom half runs once, however often it was scheduled") {
  on_every_context([](Context& context) {
    int runs = 0;
    BottomHalf half(context, [&] { ++runs; });
    half.schedule();
    half.schedule();
    CHECK(context.poll(false));
    CHECK(runs == 1);
    CHECK(!context.poll(false));
  });
}

TEST_CASE("bottom halves run in the order of scheduling, at home and from another thread") {
  on_every_context([](Context& context) {
    context.bind();
    std::string log;
    BottomHalf a(context, [&] { log += 'a'; });
    BottomHalf b(context, [&] { log += 'b'; });
    BottomHalf c(context, [&] { log += 'c'; });
    const auto schedule_all = [&] {
      c.schedule();
      a.schedule();
      b.schedule();
      a.schedule();
    };
    schedule_all();
    context.poll(false);
    CHECK(log == "cab");
    std::thread(schedule_all).join();
    context.poll(true);
    CHECK(log == "cabcab");
  });
}

TEST_CASE("a bottom half that schedules itself runs in the next turn, which does not sleep") {
  on_every_context([](Context& context) {
    int runs = 0;
    std::unique_ptr<BottomHalf> half;
    half = std::make_unique<BottomHalf>(context, [&] {
      if (++runs < 3) {
        half->schedule();
      }
    });
    half->schedule();
    context.poll(true);
    CHECK(runs == 1);
    context.poll(true);
    CHECK(runs == 2);
    context.poll(true);
    CHECK(runs == 3);
  });
}

TEST_CASE("cancel takes back what was scheduled at home and elsewhere") {
  on_every_context([](Context& context) {
    context.bind();
    int runs = 0;
    BottomHalf half(context, [&] { ++runs; });
    half.schedule();
    half.cancel();
    std::thread([&] { half.schedule(); }).join();
    half.cancel();
    CHECK(!context.poll(false));
    CHECK(runs == 0);
    half.schedule();
    context.poll(false);
    CHECK(runs == 1);
  });
}

TEST_CASE("a cancelled one does not take the others of its batch along") {
  on_every_context([](Context& context) {
    context.bind();
    std::string log;
    BottomHalf a(context, [&] { log += 'a'; });
    BottomHalf b(context, [&] { log += 'b'; });
    BottomHalf canceller(context, [&] { a.cancel(); });
    std::thread([&] {
      canceller.schedule();
      a.schedule();
      b.schedule();
    }).join();
    context.poll(true);
    CHECK(log == "b");
  });
}

TEST_CASE("a bottom half may be deleted from its own callback, and from another one") {
  on_every_context([](Context& context) {
    std::string log;
    std::unique_ptr<BottomHalf> own;
    std::unique_ptr<BottomHalf> other;
    own = std::make_unique<BottomHalf>(context, [&] {
      log += 'o';
      other.reset();
      own.reset();
    });
    other = std::make_unique<BottomHalf>(context, [&] { log += 'x'; });
    own->schedule();
    other->schedule();
    context.poll(false);
    CHECK(log == "o");
  });
}

TEST_CASE("destroying a bottom half that another thread has scheduled takes it back") {
  on_every_context([](Context& context) {
    context.bind();
    int runs = 0;
    {
      BottomHalf half(context, [&] { ++runs; });
      std::thread([&] { half.schedule(); }).join();
    }
    context.poll(false);
    CHECK(runs == 0);
  });
}

TEST_CASE("a nested turn runs what the outer turn has taken and not yet run") {
  on_every_context([](Context& context) {
    std::string log;
    BottomHalf nesting(context, [&] {
      log += '(';
      context.poll(true);  // does not sleep, for there is something to run
      log += ')';
    });
    BottomHalf a(context, [&] { log += 'a'; });
    nesting.schedule();
    a.schedule();
    context.poll(false);
    CHECK(log == "(a)");
  });
}

TEST_CASE("a bottom half may nest turns to any depth") {
  on_every_context([](Context& context) {
    constexpr int kDepth = 100;
    int depth = 0;
    std::unique_ptr<BottomHalf> half;
    half = std::make_unique<BottomHalf>(context, [&] {
      if (++depth < kDepth) {
        half->schedule();
        context.poll(true);
      }
    });
    half->schedule();
    context.poll(true);
    CHECK(depth == kDepth);
  });
}

TEST_CASE("what a scheduler wrote before is visible to the callback") {
  constexpr int kRounds = 1000;
  ContextThread there;
  const std::unique_ptr<Context> here = make_context();
  const TestTimeout patience;
  int message = 0;
  int seen = 0;
  bool answered = false;
  BottomHalf answer(*here, [&] { answered = true; });
  auto question = std::make_unique<BottomHalf>(there.context(), [&] {
    seen += message;
    answer.schedule();
  });
  here->bind();
  for (int i = 0; i < kRounds; ++i) {
    message = 1;
    answered = false;
    question->schedule();
    here->run_until(answered);
  }
  CHECK(seen == kRounds);
  // Destroyed at its home.
  answered = false;
  there.context().post([&] {
    question.reset();
    answer.schedule();
  });
  here->run_until(answered);
}

TEST_CASE("a signal handler schedules on whatever thread it runs, in the middle of whatever") {
  static BottomHalf* target = nullptr;
  on_every_context([](Context& context) {
    context.bind();
    int runs = 0;
    BottomHalf half(context, [&] { ++runs; });
    target = &half;
    std::signal(SIGUSR1, [](int) { target->schedule_from_signal(); });
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK(context.poll(true));
    CHECK(runs == 1);
    // It interrupts the home thread while that one schedules and runs.
    int busy_runs = 0;
    BottomHalf busy(context, [&] { ++busy_runs; });
    for (int i = 0; i < 100; ++i) {
      busy.schedule();
      raise(SIGUSR1);
      context.poll(false);
    }
    std::signal(SIGUSR1, SIG_DFL);
    CHECK(busy_runs == 100);
    CHECK(runs == 101);
  });
}

// --- idle ---------------------------------------------------------------------------------------

TEST_CASE("an idle bottom half runs in a turn that finds nothing else, and is no progress") {
  on_every_context([](Context& context) {
    std::string log;
    IdleBottomHalf idle(context, [&] { log += 'i'; });
    BottomHalf half(context, [&] { log += 'b'; });
    idle.schedule();
    half.schedule();
    CHECK(context.poll(false));
    CHECK(log == "b");
    CHECK(!context.poll(false));
    CHECK(log == "bi");
    CHECK(!context.poll(false));
    CHECK(log == "bi");
  });
}

TEST_CASE("a loop with an idle bottom half does not sleep for ever") {
  on_every_context([](Context& context) {
    int runs = 0;
    IdleBottomHalf idle(context, [&] { ++runs; });
    idle.schedule();
    std::chrono::nanoseconds slept{0};
    context.set_trace([&](const TraceEvent& event) { slept = event.duration; });
    CHECK(!context.poll(true));
    context.set_trace(nullptr);
    CHECK(runs == 1);
    CHECK(slept == std::chrono::milliseconds(10));
  });
}

TEST_CASE(
    "an idle bottom half that schedules itself leaves the turn, and may be cancelled or deleted") {
  on_every_context([](Context& context) {
    int runs = 0;
    std::unique_ptr<IdleBottomHalf> idle;
    idle = std::make_unique<IdleBottomHalf>(context, [&] {
      if (++runs == 3) {
        idle.reset();
      } else {
        idle->schedule();
      }
    });
    idle->schedule();
    context.poll(false);
    CHECK(runs == 1);
    idle->cancel();
    context.poll(false);
    CHECK(runs == 1);
    idle->schedule();
    context.poll(false);
    context.poll(false);
    CHECK(runs == 3);
  });
}

}  // namespace
}  // namespace coaio::testing
