#include "coro/with_task_group.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// Notes that it has been cancelled, and takes its time to end.
Task<absl::Status> sleep_long(int& ended) {
  const absl::Status status = co_await sleep_for(24h);
  for (int i = 0; i < 3; ++i) {
    co_await yield();
  }
  ++ended;
  co_return status;
}

TEST_CASE("a group whose body spawns nothing gives the body's status") {
  const auto context = make_context();
  for (const absl::Status& wanted : {absl::OkStatus(), absl::NotFoundError("body")}) {
    CHECK(run(*context, task_group([&](TaskGroup&) -> Task<absl::Status> { co_return wanted; })) ==
          wanted);
  }
  CHECK(run(*context, task_group([](TaskGroup&) -> Task<void> { co_await yield(); })).ok());
}

TEST_CASE("a body that leaves early does not end the process: its children are joined") {
  on_every_context([](Context& context) {
    int ended = 0;
    const absl::Status status =
        run(context, task_group([&](TaskGroup& group) -> Task<absl::Status> {
              for (int i = 0; i < 3; ++i) {
                group.spawn([&ended]() -> Task<void> {
                  (co_await sleep_for(1us)).IgnoreError();
                  ++ended;
                });
              }
              co_return absl::OkStatus();
            }));
    CHECK(status.ok());
    CHECK(ended == 3);
  });
}

TEST_CASE("the body's own failure cancels the children, waits for them, and is the result") {
  on_every_context([](Context& context) {
    int ended = 0;
    const absl::Status status =
        run(context, task_group([&](TaskGroup& group) -> Task<absl::Status> {
              group.spawn(sleep_long(ended));
              group.spawn(sleep_long(ended));
              co_await yield();
              co_return absl::NotFoundError("body");
            }));
    CHECK(status == absl::NotFoundError("body"));
    CHECK(ended == 2);
  });
}

TEST_CASE("the failure of a child cancels the body and the other children, and is the result") {
  on_every_context([](Context& context) {
    int ended = 0;
    const absl::Status status =
        run(context, task_group([&](TaskGroup& group) -> Task<absl::Status> {
              group.spawn(sleep_long(ended));
              group.spawn([]() -> Task<absl::Status> { co_return absl::InternalError("child"); });
              const absl::Status slept = co_await sleep_for(24h);
              CHECK(absl::IsCancelled(slept));
              ++ended;
              co_return slept;
            }));
    CHECK(status == absl::InternalError("child"));
    CHECK(ended == 2);
  });
}

TEST_CASE("a group that its body cancels ends well") {
  const auto context = make_context();
  int ended = 0;
  const absl::Status status = run(*context, task_group([&](TaskGroup& group) -> Task<absl::Status> {
    group.spawn(sleep_long(ended));
    co_await yield();
    group.cancel();
    co_return co_await sleep_for(24h);
  }));
  CHECK(status.ok());
  CHECK(ended == 1);
}

TEST_CASE("the cancellation of the task around a group reaches body and children") {
  on_every_context([](Context& context) {
    for (const bool before : {true, false}) {
      CancelSource source(context);
      if (before) {
        source.request_cancel();
      }
      int ended = 0;
      const auto body = [&](TaskGroup& group) -> Task<absl::Status> {
        group.spawn(sleep_long(ended));
        std::thread canceller;
        if (!before) {
          canceller = std::thread([&source] { source.request_cancel(); });
        }
        const absl::Status status = co_await sleep_for(24h);
        if (canceller.joinable()) {
          canceller.join();
        }
        co_return status;
      };
      CHECK(absl::IsCancelled(run(context, task_group(body), source.token())));
      CHECK(ended == 1);
    }
  });
}

TEST_CASE("groups stand one inside another, and the inner failure is the outer one's") {
  const auto context = make_context();
  int ended = 0;
  const absl::Status status = run(*context, task_group([&](TaskGroup& outer) -> Task<absl::Status> {
    outer.spawn(sleep_long(ended));
    co_return co_await task_group([&](TaskGroup& inner) -> Task<absl::Status> {
      inner.spawn(sleep_long(ended));
      co_return absl::NotFoundError("inner");
    });
  }));
  CHECK(status == absl::NotFoundError("inner"));
  CHECK(ended == 2);
}

#if defined(__cpp_exceptions)
TEST_CASE("an exception that leaves the body is thrown once the children have ended") {
  on_every_context([](Context& context) {
    int ended = 0;
    std::string what;
    try {
      run(context, task_group([&](TaskGroup& group) -> Task<absl::Status> {
            group.spawn(sleep_long(ended));
            co_await yield();
            throw std::runtime_error("body");
          }))
          .IgnoreError();
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    CHECK(what == "body");
    CHECK(ended == 1);
  });
}
#endif

}  // namespace
}  // namespace coaio::testing
