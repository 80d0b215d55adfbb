// when_all and when_any.

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/when_all.h"
#include "coro/when_any.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

template <typename T>
Task<T> give(T value) {
  co_return value;
}

template <typename T>
Task<T> give_later(T value) {
  co_await yield();
  co_return value;
}

Task<void> nothing() { co_await yield(); }

Task<absl::Status> sleep_long() { co_return co_await sleep_for(24h); }

// Has its value in spite of a cancellation.
Task<absl::StatusOr<int>> insist(int value) {
  (co_await sleep_for(24h)).IgnoreError();
  co_return value;
}

TEST_CASE("all results are there, in the order of the tasks, whoever ends first") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      auto results = co_await when_all(give_later(std::make_unique<int>(1)), give(std::string("b")),
                                       nothing());
      CHECK(results.status().ok());
      CHECK(*results.get<0>() == 1);
      CHECK(results.get<1>() == "b");
      CHECK(results.get<2>() == std::monostate());
      const std::unique_ptr<int> taken = std::move(results).get<0>();
      CHECK(*taken == 1);
    }());
  });
}

TEST_CASE("when_all of no task ends well") {
  const auto context = make_context();
  CHECK(run(*context, when_all()).status().ok());
}

TEST_CASE("the first failure cancels the others, and each result is still there") {
  on_every_context([](Context& context) {
    const auto results = run(
        context,
        when_all(sleep_long(), give(absl::StatusOr<int>(absl::NotFoundError("none"))), insist(4)));
    CHECK(results.status() == absl::NotFoundError("none"));
    CHECK(absl::IsCancelled(results.get<0>()));
    CHECK(results.get<1>().status() == absl::NotFoundError("none"));
    CHECK(*results.get<2>() == 4);
  });
}

TEST_CASE("the first task that ends wins, and the losers have ended too") {
  on_every_context([](Context& context) {
    auto results = run(context, when_any(sleep_long(), give_later(7), insist(4)));
    CHECK(results.index() == 1);
    CHECK(results.get<1>() == 7);
    CHECK(absl::IsCancelled(results.get<0>()));
    CHECK(*results.get<2>() == 4);  // what a loser has come to is not lost
  });
}

TEST_CASE("tasks that never wait win by turns") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    int wins[3] = {};
    for (int i = 0; i < 30; ++i) {
      const auto results = co_await when_any(give(1), give(2), give(3));
      ++wins[results.index()];
    }
    CHECK(wins[0] == 10);
    CHECK(wins[1] == 10);
    CHECK(wins[2] == 10);
  }());
}

TEST_CASE("a cancellation reaches the tasks of when_all and of when_any") {
  on_every_context([](Context& context) {
    for (const bool before : {true, false}) {
      CancelSource source(context);
      if (before) {
        source.request_cancel();
      }
      std::jthread canceller([&] { source.request_cancel(); });
      run(
          context,
          []() -> Task<void> {
            const auto all = co_await when_all(sleep_long(), insist(1));
            CHECK(absl::IsCancelled(all.status()));
            CHECK(absl::IsCancelled(all.get<0>()));
            CHECK(*all.get<1>() == 1);
            const auto any = co_await when_any(sleep_long(), sleep_long());
            CHECK(absl::IsCancelled(any.get<0>()));
            CHECK(absl::IsCancelled(any.get<1>()));
          }(),
          source.token());
    }
  });
}

TEST_CASE("two timers: the sooner one wins, and the other one is taken back") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const auto wait = [](Duration delay) -> Task<absl::Status> {
          co_return co_await sleep_for(delay);
        };
        const auto advance = [](ManualClock& manual) -> Task<absl::Status> {
          co_await yield();  // until the others sleep
          manual.advance(1h);
          co_return co_await sleep_for(24h);
        };
        const auto results = run(context, when_any(wait(2h), wait(1h), advance(clock)));
        CHECK(results.index() == 1);
        CHECK(results.get<1>().ok());
        CHECK(absl::IsCancelled(results.get<0>()));
      },
      {.clock = &clock});
}

#if defined(__cpp_exceptions)
Task<int> fail() {
  co_await yield();
  throw std::runtime_error("task");
}

TEST_CASE("an exception is thrown once all tasks have ended") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    for (const bool all : {true, false}) {
      std::string what;
      bool ended = false;
      const auto other = [](bool& end) -> Task<absl::Status> {
        const absl::Status status = co_await sleep_for(24h);
        end = true;
        co_return status;
      };
      try {
        if (all) {
          (void)co_await when_all(other(ended), fail());
        } else {
          (void)co_await when_any(other(ended), fail());
        }
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      CHECK(what == "task");
      CHECK(ended);
    }
  }());
}
#endif

TEST_CASE("when_all and when_any allocate nothing after the first time") {
  const auto context = make_context();
  const std::size_t made = run(*context, []() -> Task<std::size_t> {
    std::size_t last = 0;
    for (int i = 0; i < 3; ++i) {
      const std::size_t before = allocations_so_far();
      const auto all = co_await when_all(give_later(1), give_later(2));
      const auto any = co_await when_any(give_later(all.get<0>()), sleep_long());
      last = allocations_so_far() - before;
      CHECK(any.index() == 0);
    }
    co_return last;
  }());
  if (!kSanitized) {  // with a sanitizer each frame is an allocation of its own
    CHECK(made == 0);
  }
}

}  // namespace
}  // namespace coaio::testing
