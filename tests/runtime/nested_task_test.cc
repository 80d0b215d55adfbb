// Tasks that run nested turns: a nested turn must not resume the task that runs it.

#include <functional>
#include <string>
#include <utility>

#include "coro/awaitable.h"
#include "coro/promise.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {

using namespace internal;
namespace {

constexpr const char* kFix =
    "a task that runs a nested turn is resumed inside itself: an awaitable schedules or resumes a "
    "task once for each suspension, and not while the task runs";

// The promise of the task that awaits it. The task goes on at once.
class Self : public Awaitable<Self> {
 public:
  PromiseBase& await_resume() const { return *task_; }

 private:
  friend class Awaitable<Self>;
  bool suspend(PromiseBase& task) {
    task_ = &task;
    return false;
  }

  PromiseBase* task_ = nullptr;
};

void schedule(PromiseBase& task) { ContextAccess(task.context()).schedule(task); }

Task<void> schedule_twice() {
  PromiseBase& self = co_await Self();
  schedule(self);
  self.context().poll(false);
}

Task<void> nothing() { co_return; }

template <typename MakeTask>
void check_aborts(MakeTask make_task) {
  const std::string words = abort_message([&] { run(*make_context(), make_task()); });
  CAPTURE(words);
  CHECK(words.find(kFix) != std::string::npos);
}

TEST_CASE("a task that is scheduled while it runs a nested turn is not resumed inside itself") {
  check_aborts(schedule_twice);
}

TEST_CASE("a child that a parent awaits is not resumed inside itself") {
  check_aborts([]() -> Task<void> { co_await schedule_twice(); });
}

TEST_CASE("a parent is not resumed inside itself after its child has ended") {
  check_aborts([]() -> Task<void> {
    co_await nothing();
    co_await schedule_twice();
  });
  check_aborts([]() -> Task<void> {
    PromiseBase& self = co_await Self();
    co_await nothing();
    schedule(self);
    self.context().poll(false);
  });
}

TEST_CASE("a task is not resumed inside itself after an inner task has run in a nested turn") {
  check_aborts([]() -> Task<void> {
    PromiseBase& self = co_await Self();
    TaskGroup group(co_await this_task());
    group.spawn(nothing());
    self.context().poll(false);
    CHECK(group.size() == 0);
    schedule(self);
    self.context().poll(false);
  });
}

TEST_CASE("an awaitable does not resume a task that runs a nested turn") {
  check_aborts([]() -> Task<void> {
    PromiseBase& self = co_await Self();
    BottomHalf half(self.context(), [&self] { self.resume(); });
    half.schedule();
    self.context().poll(false);
  });
}

// The misuse is told from what is lawful: the turns that callbacks and other tasks nest resume
// every task that is suspended, also the one that the loop resumed last.
TEST_CASE("a nested turn resumes each task that is suspended") {
  on_every_context([](Context& context) {
    int resumed = 0;
    bool nested = false;
    run(context, [](int& times, bool& done) -> Task<void> {
      TaskGroup group(co_await this_task());
      PromiseBase& self = co_await Self();
      BottomHalf half(self.context(), [&] { self.context().poll(false); });
      group.spawn([](int& count, Context& home, BottomHalf& nesting) -> Task<void> {
        for (int i = 0; i < 3; ++i) {
          nesting.schedule();
          co_await yield();
          ++count;
          co_await nothing();
          home.poll(false);
        }
      }(times, self.context(), half));
      group.spawn([](int& count, Context& home) -> Task<void> {
        for (int i = 0; i < 3; ++i) {
          home.poll(false);
          co_await yield();
          ++count;
        }
      }(times, self.context()));
      (co_await group.join()).IgnoreError();
      done = true;
    }(resumed, nested));
    CHECK(nested);
    CHECK(resumed == 6);
  });
}

}  // namespace
}  // namespace coaio::testing
