// TaskGroup::spawn(callable, args...): the child keeps what its task refers to.

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"

namespace coaio::testing {
namespace {

TEST_CASE("a spawned lambda keeps what it has captured until its task has ended") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    std::string seen;
    const auto kept = std::make_shared<int>(0);
    TaskGroup group(co_await this_task());
    {
      const std::string text(100, 'x');
      group.spawn([&seen, text, kept]() -> Task<void> {
        co_await yield();
        seen = text;
      });
    }
    CHECK(kept.use_count() == 2);
    CHECK((co_await group.join()).ok());
    CHECK(seen == std::string(100, 'x'));
    CHECK(kept.use_count() == 1);
  }());
}

TEST_CASE("a spawned callable may take references to arguments that were temporaries") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    std::string seen;
    TaskGroup group(co_await this_task());
    group.spawn(
        [](const std::string& text, std::unique_ptr<int> number,
           std::string& out) -> Task<absl::Status> {
          co_await yield();
          out = text + std::to_string(*number);
          co_return absl::OkStatus();
        },
        std::string(100, 'y'), std::make_unique<int>(7), std::ref(seen));
    CHECK((co_await group.join()).ok());
    CHECK(seen == std::string(100, 'y') + "7");
  }());
}

struct Server {
  Task<void> serve(int by) {
    co_await yield();
    served += by;
  }
  int served = 0;
};

TEST_CASE("a member function is spawned with its object") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    Server server;
    TaskGroup group(co_await this_task());
    group.spawn(&Server::serve, std::ref(server), 3);
    group.spawn(&Server::serve, &server, 4);
    CHECK(server.served == 0);  // nothing runs inside spawn
    CHECK((co_await group.join()).ok());
    CHECK(server.served == 7);
  }());
}

TEST_CASE("a status that a spawned callable's task gives is a failure of the group") {
  on_every_context([](Context& context) {
    const absl::Status status = run(context, []() -> Task<absl::Status> {
      TaskGroup group(co_await this_task());
      group.spawn(
          [](int code) -> Task<absl::Status> {
            co_return absl::Status(static_cast<absl::StatusCode>(code), "failed");
          },
          5);
      co_return co_await group.join();
    }());
    CHECK(status == absl::NotFoundError("failed"));
  });
}

TEST_CASE("a child that was spawned after a cancellation is called, and finds itself cancelled") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    bool cancelled = false;
    TaskGroup group(co_await this_task());
    group.cancel();
    group.spawn([&cancelled]() -> Task<void> {
      const TaskEnv here = co_await this_task();
      cancelled = here.token.cancel_requested();
    });
    CHECK((co_await group.join()).ok());
    CHECK(cancelled);
  }());
}

#if defined(__cpp_exceptions)
TEST_CASE("an exception of the callable itself, or of its task, is thrown by join") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    for (const bool in_call : {true, false}) {
      TaskGroup group(co_await this_task());
      if (in_call) {
        group.spawn([]() -> Task<void> { throw std::runtime_error("call"); });
      } else {
        group.spawn([]() -> Task<void> {
          co_await yield();
          throw std::runtime_error("task");
        });
      }
      std::string what;
      try {
        (co_await group.join()).IgnoreError();
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      CHECK(what == (in_call ? "call" : "task"));
    }
  }());
}
#endif

template <typename... Args>
concept CanSpawn = requires(TaskGroup& group, Args... args) { group.spawn(args...); };

TEST_CASE("only what makes a task of nothing or of a status is spawned") {
  const auto makes_void = [](int) -> Task<void> { co_return; };
  const auto makes_int = []() -> Task<int> { co_return 1; };
  const auto makes_none = [] {};
  CHECK(CanSpawn<decltype(makes_void), int>);
  CHECK(!CanSpawn<decltype(makes_void)>);
  CHECK(!CanSpawn<decltype(makes_int)>);
  CHECK(!CanSpawn<decltype(makes_none)>);
}

TEST_CASE("spawning a callable allocates nothing after the first time") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    int sum = 0;
    std::size_t made = 0;
    for (int round = 0; round < 3; ++round) {
      TaskGroup group(co_await this_task());
      const std::size_t before = allocations_so_far();
      for (int i = 0; i < 10; ++i) {
        group.spawn(
            [&sum](int n) -> Task<void> {
              co_await yield();
              sum += n;
            },
            i);
      }
      CHECK((co_await group.join()).ok());
      made = allocations_so_far() - before;
    }
    CHECK(sum == 3 * 45);
    if (!kSanitized) {  // with a sanitizer each frame is an allocation of its own
      CHECK(made == 0);
    }
  }());
}

}  // namespace
}  // namespace coaio::testing
