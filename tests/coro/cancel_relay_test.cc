#include "coro/cancel_relay.h"

#include <atomic>
#include <chrono>
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
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<absl::Status> sleep_there(Context& there) {
  co_await resume_on(there);
  const absl::Status status = co_await sleep_for(24h);
  CHECK(there.is_home());
  co_return status;
}

Task<absl::Status> join_soon_cancelled(TaskGroup& group) {
  co_await yield();
  group.cancel();
  co_return co_await group.join();
}

TEST_CASE("a request reaches a task that has moved") {
  on_every_context([](Context& context) {
    ContextThread other;
    for (int round = 0; round < 50; ++round) {
      run(context, [](Context& there) -> Task<void> {
        TaskGroup group(co_await this_task());
        for (int i = 0; i < 3; ++i) {
          group.spawn(sleep_there(there));
        }
        CHECK((co_await join_soon_cancelled(group)).ok());
      }(other.context()));
    }
  });
}

TEST_CASE("a request that was there before the move is there after it") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& there) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.cancel();
      group.spawn(sleep_there(there));
      CHECK((co_await group.join()).ok());
    }(other.context()));
  });
}

Task<absl::Status> commute(Context& here, Context& there) {
  absl::Status status;
  while (status.ok()) {
    co_await resume_on(there);
    status = co_await sleep_for(1us);
    co_await resume_on(here);
    status.Update(co_await sleep_for(1us));
  }
  co_return status;
}

TEST_CASE("a request finds a task that never stays anywhere") {
  on_every_context([](Context& context) {
    ContextThread other;
    for (int round = 0; round < 30; ++round) {
      run(context, [](Context& here, Context& there) -> Task<void> {
        TaskGroup group(co_await this_task());
        group.spawn(commute(here, there));
        group.spawn(commute(here, there));
        CHECK((co_await sleep_for(20us)).ok());
        group.cancel();
        CHECK((co_await group.join()).ok());
      }(context, other.context()));
    }
  });
}

TEST_CASE("a request reaches a task two moves away from its parent, and that one's children") {
  on_every_context([](Context& context) {
    ContextThread second;
    ContextThread third;
    run(context, [](Context& b, Context& c) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn([](Context& next, Context& last) -> Task<absl::Status> {
        co_await resume_on(next);
        TaskGroup inner(co_await this_task());
        inner.spawn(sleep_there(last));
        inner.spawn(sleep_there(next));
        const absl::Status status = co_await inner.join();
        CHECK(next.is_home());
        co_return status;
      }(b, c));
      CHECK((co_await join_soon_cancelled(group)).ok());
    }(second.context(), third.context()));
  });
}

TEST_CASE("a group stays cancellable at home while its task is away") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& home, Context& there) -> Task<void> {
      TaskGroup outer(co_await this_task());
      outer.spawn([](Context& back, Context& away) -> Task<absl::Status> {
        TaskGroup inner(co_await this_task());
        inner.spawn([]() -> Task<absl::Status> { co_return co_await sleep_for(24h); }());
        for (int i = 0; i < 3; ++i) {  // the first move makes the relay, later ones have it
          co_await resume_on(away);
          co_await resume_on(back);
        }
        co_return co_await inner.join();
      }(home, there));
      CHECK((co_await join_soon_cancelled(outer)).ok());
    }(context, other.context()));
  });
}

TEST_CASE(
    "leaving a group behind on a context that was only visited ends the process with the fix") {
  const std::string words = abort_message([] {
    const auto context = make_context();
    const auto visited = make_context();  // both run by this thread
    TaskGroup outer({*context, {}});
    outer.spawn([](Context& there, Context& back) -> Task<void> {
      co_await resume_on(there);
      TaskGroup inner(co_await this_task());
      co_await resume_on(back);
    }(*visited, *context));
    while (outer.size() != 0) {
      context->poll(false);
      visited->poll(false);
    }
  });
  CAPTURE(words);
  CHECK(words.find("join a group before its task moves") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
