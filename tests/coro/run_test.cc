#include "coro/run.h"

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "coro/cancel.h"
#include "coro/resume_on.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/this_task.h"
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

// Cancelled in its sleep, it takes a while to end, and has a result.
Task<int> work_until_cancelled(int& turns_of_cleaning_up) {
  CHECK(absl::IsCancelled(co_await sleep_for(24h)));
  for (; turns_of_cleaning_up < 10; ++turns_of_cleaning_up) {
    co_await yield();
  }
  co_return 7;
}

TEST_CASE("stop cancels the task of run, which ends in its own time and keeps its result, once") {
  on_every_context([](Context& context) {
    int turns = 0;
    std::thread stopper([&] { context.stop(); });
    CHECK(run(context, work_until_cancelled(turns)) == 7);
    stopper.join();
    CHECK(turns == 10);
    // The request is used up.
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(1us); }()).ok());
  });
}

TEST_CASE("a stop that comes before run cancels its task from the begin") {
  on_every_context([](Context& context) {
    context.stop();
    int turns = 0;
    CHECK(run(context, work_until_cancelled(turns)) == 7);
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(1us); }()).ok());
  });
}

TEST_CASE("a task that stops its own run leaves nothing for the next one") {
  on_every_context([](Context& context) {
    run(context, [](Context& here) -> Task<void> {
      here.stop();
      co_return;
    }(context));
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(1us); }()).ok());
  });
}

TEST_CASE("a token that is given to run cancels its task, before and meanwhile") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    int turns = 0;
    std::thread other([&] { source.request_cancel(); });
    CHECK(run(context, work_until_cancelled(turns), source.token()) == 7);
    other.join();
    CHECK(run(context, work_until_cancelled(turns), source.token()) == 7);
    CHECK(run(context, []() -> Task<absl::Status> { co_return co_await sleep_for(1us); }()).ok());
  });
}

TEST_CASE("the token of another context's source is refused by run, with the fix") {
  const std::string words = abort_message([] {
    const auto here = make_context();
    const auto there = make_context();
    CancelSource source(*there);
    run(*here, []() -> Task<void> { co_return; }(), source.token());
  });
  CAPTURE(words);
  CHECK(words.find("make the source on the context that runs the task") != std::string::npos);
}

TEST_CASE("run inside a task ends the process with the fix") {
  const std::string words = abort_message([] {
    run(*make_context(), []() -> Task<void> {
      run(*make_context(), []() -> Task<void> { co_return; }());
      co_return;
    }());
  });
  CAPTURE(words);
  CHECK(words.find("co_await the task, or spawn it into a TaskGroup") != std::string::npos);
}

TEST_CASE("the current context is the one whose turn the thread runs, and none outside of turns") {
  CHECK(!Context::has_current());
  on_every_context([](Context& context) {
    run(context, [](Context& expected) -> Task<void> {
      CHECK(&Context::current() == &expected);
      ContextThread other;
      co_await resume_on(other.context());
      CHECK(&Context::current() == &other.context());
      co_await resume_on(expected);
      CHECK(&Context::current() == &expected);
      // Turns of several contexts nest.
      const auto inner = make_context();
      const Context* seen = nullptr;
      inner->post([&] { seen = &Context::current(); });
      inner->poll(false);
      CHECK(seen == inner.get());
      CHECK(&Context::current() == &expected);
    }(context));
    CHECK(!Context::has_current());
  });
  const std::string words = abort_message([] { Context::current(); });
  CAPTURE(words);
  CHECK(words.find("outside of a turn") != std::string::npos);
}

TEST_CASE("run with options runs its task on a context of these options") {
  ManualClock clock;
  const auto time = []() -> Task<TimePoint> { co_return (co_await this_task()).context.now(); };
  CHECK(run(time(), {.clock = &clock}) == clock.now());
}

TEST_CASE("run gives the error of a context that is not possible as the status of its task") {
  const ContextOptions options{.backend = Backend::kPpoll};
  CHECK(run([]() -> Task<absl::Status> { co_return absl::OkStatus(); }(), options).ok());
  CHECK(run_in_child([]() -> std::string {
          setenv("COAIO_BACKEND", "kqueue", 1);
          const absl::Status status =
              run([]() -> Task<absl::Status> { co_return absl::OkStatus(); }());
          const absl::StatusOr<int> number =
              run([]() -> Task<absl::StatusOr<int>> { co_return 1; }());
          const bool said = status.message().find("kqueue") != absl::string_view::npos;
          return said && number.status() == status ? "both say it" : status.ToString();
        }) == "both say it");
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
