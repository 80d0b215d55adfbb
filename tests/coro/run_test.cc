#include "coro/run.h"

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "tests/support/abort_message.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("the back ends can be tried here") { available_back_ends(/*report=*/true); }

TEST_CASE("run gives the result of its task") {
  CHECK(run([]() -> Task<int> { co_return 3; }()) == 3);
  on_every_context(
      [](Context& context) { CHECK(run(context, []() -> Task<int> { co_return 4; }()) == 4); });
}

TEST_CASE("run runs its task on the calling thread, which becomes the home of the context") {
  on_every_context([](Context& context) {
    const auto here = run(context, []() -> Task<std::thread::id> {
      co_await yield();
      co_return std::this_thread::get_id();
    }());
    CHECK(here == std::this_thread::get_id());
    CHECK(context.is_home());
  });
}

TEST_CASE("a context runs one task after another, and what others have queued meanwhile") {
  on_every_context([](Context& context) {
    int posted = 0;
    for (int i = 1; i <= 3; ++i) {
      context.post([&] { ++posted; });
      run(context, []() -> Task<void> { co_await yield(); }());
      CHECK(posted == i);
    }
  });
}

TEST_CASE("what was stopped before does not keep run from finishing") {
  on_every_context([](Context& context) {
    context.stop();
    CHECK(run(context, []() -> Task<int> {
            co_await yield();
            co_return 5;
          }()) == 5);
  });
}

TEST_CASE("run exits with a sentence where no context is possible") {
  CHECK(run_in_child([] {
          setenv("COAIO_BACKEND", "kqueue", 1);
          run([]() -> Task<void> { co_return; }());
          return "ran nevertheless";
        }) == "could not report");  // it has exited, with a code that is not zero
}

#if defined(__cpp_exceptions)

Task<void> sleep_for_a_day() { (co_await sleep_for(24h)).IgnoreError(); }

TEST_CASE("an exception from a callback ends the process, in whichever step it is called") {
  const auto thrown_by = [](const std::function<void(Context&)>& arrange) {
    return abort_message([&] {
      const std::unique_ptr<Context> context = make_context();
      arrange(*context);
      run(*context, sleep_for_a_day());
    });
  };
  const auto fail = [] { throw std::runtime_error("a callback has failed"); };
  const std::string words = "a callback has failed";
  CHECK(thrown_by([&](Context& context) { context.post(fail); }).find(words) != std::string::npos);
  CHECK(thrown_by([&](Context& context) {
          (new Timer(context, fail))->arm_after(0ns);
        }).find(words) != std::string::npos);
  // In the batches that run() runs between two turns.
  CHECK(thrown_by([&](Context& context) {
          context.post([&] { context.post(fail); });
        }).find(words) != std::string::npos);
}

TEST_CASE("an exception from the task leaves run, and what the task awaited is freed") {
  on_every_context([](Context& context) {
    const auto guard = std::make_shared<int>(0);
    const auto fail = [](std::shared_ptr<int>) -> Task<void> {
      co_await yield();
      throw std::runtime_error("no");
    };
    CHECK_THROWS_AS(
        run(context, [&](std::shared_ptr<int> kept) -> Task<void> { co_await fail(kept); }(guard)),
        std::runtime_error);
    CHECK(guard.use_count() == 1);
    CHECK(!context.poll(false));
  });
}

#endif

}  // namespace
}  // namespace coaio::testing
