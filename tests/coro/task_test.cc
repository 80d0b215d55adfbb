#include "coro/task.h"

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

// Sanitized frames are large, and what is tested is the bound, not the number.
constexpr int kMany = kSanitized ? 20'000 : 100'000;

Task<int> answer() { co_return 42; }
Task<void> nothing() { co_return; }

TEST_CASE("the result of a task comes to the one that awaits it") {
  on_every_context([](Context& context) {
    CHECK(run(context, []() -> Task<int> { co_return co_await answer() + 1; }()) == 43);
  });
}

TEST_CASE("a result may be movable only, and need not have a default") {
  struct Wrapped {
    explicit Wrapped(std::unique_ptr<int> p) : pointer(std::move(p)) {}
    std::unique_ptr<int> pointer;
  };
  const auto context = make_context();
  const Wrapped result = run(*context, []() -> Task<Wrapped> {
    Wrapped wrapped(std::make_unique<int>(7));
    co_return wrapped;
  }());
  CHECK(*result.pointer == 7);
}

template <typename T, typename Value>
concept Returns = requires(Task<T>::promise_type& promise, Value&& value) {
  promise.return_value(std::forward<Value>(value));
};

TEST_CASE("co_return converts as an initialisation does, and no further") {
  static_assert(Returns<std::unique_ptr<int>, std::unique_ptr<int>>);
  static_assert(Returns<std::unique_ptr<int>, std::nullptr_t>);
  static_assert(!Returns<std::unique_ptr<int>, int*>);
  static_assert(!Returns<std::unique_ptr<int>, std::unique_ptr<int>&>);
}

template <typename T>
concept Awaitable = requires(T&& value) { std::forward<T>(value).operator co_await(); };

TEST_CASE("only an rvalue is awaited, and a task is not copied") {
  static_assert(Awaitable<Task<int>>);
  static_assert(!Awaitable<Task<int>&>);
  static_assert(!Awaitable<const Task<int>&>);
  static_assert(!std::is_copy_constructible_v<Task<int>>);
  static_assert(std::is_nothrow_move_constructible_v<Task<int>>);
}

TEST_CASE("a task that nobody awaits never begins, and frees what it was given") {
  bool began = false;
  const auto guard = std::make_shared<int>(0);
  {
    const auto task = [](bool& flag, std::shared_ptr<int>) -> Task<void> {
      flag = true;
      co_return;
    }(began, guard);
    CHECK(guard.use_count() == 2);
  }
  CHECK(guard.use_count() == 1);
  CHECK(!began);
}

TEST_CASE("assignment exchanges two tasks") {
  const auto context = make_context();
  const auto number = [](int n) -> Task<int> { co_return n; };
  Task<int> one = number(1);
  Task<int> two = number(2);
  one = std::move(two);
  CHECK(run(*context, std::move(one)) == 2);
}

TEST_CASE("misuse of a task ends the process with the fix") {
  const auto says = [](const std::string& words, const char* part) {
    CAPTURE(words);
    return words.find(part) != std::string::npos;
  };
  CHECK(says(abort_message([] {
               run(*make_context(), []() -> Task<void> {
                 Task<int> task = answer();
                 co_await std::move(task);
                 co_await std::move(task);  // NOLINT(bugprone-use-after-move)
               }());
             }),
             "awaited that was moved from"));
  CHECK(says(abort_message([] {
               Task<int> task = answer();
               const Task<int> other = std::move(task);
               run(*make_context(), std::move(task));  // NOLINT(bugprone-use-after-move)
             }),
             "run that was moved from"));
}

// --- lifetimes ----------------------------------------------------------------------------------

struct Counted {
  explicit Counted(int& n) : alive(n) { ++alive; }
  Counted(const Counted& other) : alive(other.alive) { ++alive; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --alive; }
  int& alive;
};

Task<Counted> counted(Counted argument) {
  const Counted local(argument.alive);
  co_await yield();
  co_return local;
}

TEST_CASE("a frame lives until the expression that awaited it ends, and not longer") {
  int alive = 0;
  const auto context = make_context();
  run(*context, [](int& n) -> Task<void> {
    CHECK((co_await counted(Counted(n))).alive > 0);
    CHECK(n == 0);
  }(alive));
  CHECK(alive == 0);
}

TEST_CASE("frames come from memory that was used before") {
  if (kSanitized) {
    return report_skipped("a sanitized build keeps no frames");
  }
  const auto context = make_context();
  const std::size_t made = run(*context, []() -> Task<std::size_t> {
    co_await answer();
    const std::size_t before = allocations_so_far();
    for (int i = 0; i < 1000; ++i) {
      co_await answer();
    }
    co_return allocations_so_far() - before;
  }());
  CHECK(made == 0);
}

// --- depth --------------------------------------------------------------------------------------

TEST_CASE("100,000 tasks that complete at once, in a row, need no stack") {
  const auto context = make_context();
  const long sum = run(*context, []() -> Task<long> {
    long total = 0;
    for (int i = 0; i < kMany; ++i) {
      total += co_await answer();
      co_await nothing();
    }
    co_return total;
  }());
  CHECK(sum == 42L * kMany);
}

Task<int> descend(int levels) {
  if (levels == 0) {
    co_return 0;
  }
  co_return 1 + co_await descend(levels - 1);
}

TEST_CASE("a recursion 100,000 deep needs no stack, neither down nor up") {
  const auto context = make_context();
  CHECK(run(*context, descend(kMany)) == kMany);
}

TEST_CASE("a sleep in the past, 100,000 times, needs no stack") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    for (int i = 0; i < kMany; ++i) {
      CHECK((co_await sleep_until(TimePoint::min())).ok());
    }
  }());
}

TEST_CASE("a task that never waits lets others go on") {
  on_every_context([](Context& context) {
    bool ran = false;
    context.post([&] { ran = true; });
    run(context, [](const bool& other_ran) -> Task<void> {
      while (!other_ran) {
        co_await nothing();
      }
    }(ran));
  });
}

// --- exceptions ---------------------------------------------------------------------------------

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
Task<int> without_result() { co_await yield(); }
#pragma GCC diagnostic pop

TEST_CASE("a task that ends without the value that it owes ends the process with the fix") {
  const std::string words = abort_message([] { run(*make_context(), without_result()); });
  CAPTURE(words);
  CHECK(words.find("let every path through the coroutine co_return a value") != std::string::npos);
}

// --- in which coroutines ------------------------------------------------------------------------

// The promise of a coroutine that is none of coaio's.
struct ForeignPromise {};

template <typename Awaiter, typename Promise>
concept CanSuspend = requires(Awaiter awaiter, std::coroutine_handle<Promise> coroutine) {
  awaiter.await_suspend(coroutine);
};

template <typename T>
concept IsAwaitedAsLvalue = requires(T& task) { task.operator co_await(); };

template <typename Awaiter>
constexpr bool kForTasksOnly =
    CanSuspend<Awaiter, Task<int>::promise_type> && !CanSuspend<Awaiter, ForeignPromise>;

TEST_CASE("a concept is told that only tasks can await what coaio offers") {
  CHECK(kForTasksOnly<Yield>);
  CHECK(kForTasksOnly<ResumeOn>);
  CHECK(kForTasksOnly<ThisTask>);
  CHECK(kForTasksOnly<Sleep>);
  CHECK(kForTasksOnly<TaskGroup::Join>);
  CHECK(kForTasksOnly<decltype(std::declval<Task<int>>().operator co_await())>);
  CHECK(!IsAwaitedAsLvalue<Task<int>>);
}

#if defined(__cpp_exceptions)

Task<int> fail_after(int levels) {
  if (levels == 0) {
    throw std::runtime_error("deep down");
  }
  co_return co_await fail_after(levels - 1);
}

TEST_CASE("an exception goes up through all tasks, from however deep") {
  const auto context = make_context();
  CHECK_THROWS_WITH_AS(run(*context, fail_after(0)), "deep down", std::runtime_error);
  CHECK_THROWS_WITH_AS(run(*context, fail_after(500)), "deep down", std::runtime_error);
}

TEST_CASE("an exception can be caught in the task that awaits") {
  const auto context = make_context();
  CHECK(run(*context, []() -> Task<int> {
          try {
            co_return co_await fail_after(1);
          } catch (const std::runtime_error&) {
            co_return -1;
          }
        }()) == -1);
}

TEST_CASE("an exception in the construction of the result is the task's") {
  struct Thrower {
    Thrower(int) { throw std::runtime_error("no value"); }  // NOLINT(google-explicit-constructor)
  };
  const auto context = make_context();
  CHECK_THROWS_WITH_AS(run(*context, []() -> Task<Thrower> { co_return 1; }()), "no value",
                       std::runtime_error);
}

TEST_CASE("what a failing task had is freed before its exception is seen") {
  int alive = 0;
  const auto context = make_context();
  const auto fail = [](Counted argument) -> Task<void> {
    const Counted local(argument.alive);
    co_await yield();
    throw std::runtime_error("over");
  };
  CHECK_THROWS_AS(run(*context, fail(Counted(alive))), std::runtime_error);
  CHECK(alive == 0);
}

#endif

}  // namespace
}  // namespace coaio::testing
