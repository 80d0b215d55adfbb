#include "coro/yield.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<void> write_down(std::string& log, char name, int times) {
  for (int i = 0; i < times; ++i) {
    log += name;
    co_await yield();
  }
}

TEST_CASE("tasks that yield take turns") {
  on_every_context([](Context& context) {
    std::string log;
    run(context, [](std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(write_down(l, 'a', 3));
      group.spawn(write_down(l, 'b', 3));
      CHECK((co_await group.join()).ok());
    }(log));
    CHECK(log == "ababab");
  });
}

TEST_CASE("a loop of yields keeps neither timers nor descriptors nor other threads waiting") {
  on_every_context([](Context& context) {
    bool posted = false;
    std::thread other([&] { context.post([&] { posted = true; }); });
    run(context, [](const bool& done) -> Task<void> {
      TaskGroup group(co_await this_task());
      bool slept = false;
      group.spawn([](bool& flag) -> Task<void> { flag = (co_await sleep_for(1ms)).ok(); }(slept));
      while (!done || !slept) {
        co_await yield();
      }
      CHECK((co_await group.join()).ok());
    }(posted));
    other.join();
  });
}

TEST_CASE("a yield is not cancelled") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      TaskGroup group(co_await this_task());
      bool done = false;
      group.spawn([](bool& flag) -> Task<void> {
        co_await yield();
        flag = true;
      }(done));
      group.cancel();
      CHECK((co_await group.join()).ok());
      CHECK(done);
    }());
  });
}

TEST_CASE("a task knows its context and its token") {
  const auto context = make_context();
  run(*context, [](Context& expected) -> Task<void> {
    const TaskEnv here = co_await this_task();
    CHECK(&here.context == &expected);
    CHECK(!here.token.cancel_requested());
    TaskGroup group(here);
    bool cancelled = false;
    group.spawn([](bool& flag) -> Task<void> {
      flag = (co_await this_task()).token.cancel_requested();
    }(cancelled));
    group.cancel();
    CHECK((co_await group.join()).ok());
    CHECK(cancelled);
  }(*context));
}

// --- moving -------------------------------------------------------------------------------------

Task<std::thread::id> visit(Context& there) {
  co_await resume_on(there);
  co_await yield();
  co_return std::this_thread::get_id();
}

TEST_CASE("a task that has moved runs there, and its parent goes on at home") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](ContextThread& there) -> Task<void> {
      for (int i = 0; i < 100; ++i) {
        CHECK(co_await visit(there.context()) == there.id());
        CHECK(std::this_thread::get_id() != there.id());
      }
    }(other));
  });
}

TEST_CASE("a move to where the task is already is a yield") {
  const auto context = make_context();
  run(*context, [](Context& here) -> Task<void> {
    co_await resume_on(here);
    CHECK((co_await this_task()).context.is_home());
  }(*context));
}

TEST_CASE("a task may come back, and go again") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& home, ContextThread& there) -> Task<void> {
      for (int i = 0; i < 20; ++i) {
        co_await resume_on(there.context());
        CHECK(std::this_thread::get_id() == there.id());
        CHECK((co_await sleep_for(0ns)).ok());
        co_await resume_on(home);
        CHECK(home.is_home());
      }
    }(context, other));
  });
}

TEST_CASE("a task that was spawned ends at the home of its group, wherever it went") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& home, ContextThread& there) -> Task<void> {
      TaskGroup group(co_await this_task());
      for (int i = 0; i < 20; ++i) {
        group.spawn(
            [](Context& target) -> Task<void> { co_await resume_on(target); }(there.context()));
      }
      CHECK((co_await group.join()).ok());
      CHECK(home.is_home());
    }(context, other));
  });
}

#if defined(__cpp_exceptions)

TEST_CASE("an exception comes home") {
  const auto context = make_context();
  ContextThread other;
  CHECK_THROWS_WITH_AS(run(*context,
                           [](Context& target) -> Task<void> {
                             co_await [](Context& t) -> Task<void> {
                               co_await resume_on(t);
                               throw std::runtime_error("far away");
                             }(target);
                           }(other.context())),
                       "far away", std::runtime_error);
}

#endif

}  // namespace
}  // namespace coaio::testing
