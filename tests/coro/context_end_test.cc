// A context that is destroyed while tasks need it names them.

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<void> sleep_long() { (co_await sleep_for(24h)).IgnoreError(); }

Task<void> sleep_there(Context& there) {
  co_await resume_on(there);
  co_await sleep_long();
}

void check_says(const std::function<void()>& work, const std::string& words) {
  const std::string said = abort_message(work);
  CAPTURE(said);
  CAPTURE(words);
  CHECK(said.find(words) != std::string::npos);
}

void settle(Context& context) {
  while (context.poll(false)) {
  }
}

TEST_CASE("a context that is destroyed before its tasks tells what they wait for") {
  const auto left_behind = [](const std::function<void(TaskGroup&)>& spawn,
                              const std::string& words, int turns) {
    check_says(
        [&] {
          const std::unique_ptr<Context> context = make_context();
          context->bind();
          spawn(*new TaskGroup({*context, {}}));
          for (int i = 0; i < turns; ++i) {
            context->poll(false);
          }
        },
        words);
  };
  left_behind([](TaskGroup& group) { group.spawn(sleep_long()); }, "1 task that is about to go on;",
              0);
  left_behind([](TaskGroup& group) { group.spawn(sleep_long()); }, "1 task that sleeps;", 1);
  left_behind(
      [](TaskGroup& group) {
        group.spawn(sleep_long());
        group.spawn(sleep_long());
        group.cancel_after(1h);
      },
      "2 tasks that sleep; 1 deadline of a task group;", 1);
  left_behind(
      [](TaskGroup& group) {
        group.spawn(sleep_long());
        group.cancel();
      },
      "1 request for cancellation;", 0);
}

// Both contexts have this thread for their home.
TEST_CASE("a context that is destroyed while a task is away on another one says so") {
  for (const int tasks : {1, 3}) {
    check_says(
        [&] {
          const std::unique_ptr<Context> there = make_context();
          std::unique_ptr<Context> here = make_context();
          here->bind();
          there->bind();
          auto* group = new TaskGroup({*here, {}});
          for (int i = 0; i < tasks; ++i) {
            group->spawn(sleep_there(*there));
          }
          settle(*here);
          settle(*there);
          here.reset();
        },
        tasks == 1 ? "1 task that is away" : "3 tasks that are away");
  }
}

// A child that moves by itself is expected back by its parent, whose home is another one by then.
TEST_CASE("a context that waits for the child of one of its tasks says so too") {
  check_says(
      [] {
        const std::unique_ptr<Context> first = make_context();
        std::unique_ptr<Context> second = make_context();
        first->bind();
        second->bind();
        auto* group = new TaskGroup({*first, {}});
        group->spawn([](Context& a, Context& b) -> Task<void> {
          co_await resume_on(b);
          co_await sleep_there(a);
        }(*first, *second));
        settle(*first);
        settle(*second);
        settle(*first);
        second.reset();
      },
      "1 task that is away");
}

TEST_CASE("a task that has come back, by itself or by its end, is not missed") {
  on_every_context([](Context& context) {
    const std::unique_ptr<Context> there = make_context();
    context.bind();
    there->bind();
    {
      TaskGroup group({context, {}});
      group.spawn([](Context& other, Context& home) -> Task<void> {
        for (int i = 0; i < 3; ++i) {
          co_await resume_on(other);
          co_await yield();
          co_await resume_on(home);
        }
        co_await resume_on(other);
      }(*there, context));
      group.spawn([](Context& other) -> Task<void> {
        const auto child = [](Context& away) -> Task<void> { co_await resume_on(away); };
        co_await child(other);
      }(*there));
      while (group.size() != 0) {
        context.poll(false);
        there->poll(false);
      }
    }
    // The end of both contexts counts what is still away.
  });
}

}  // namespace
}  // namespace coaio::testing
