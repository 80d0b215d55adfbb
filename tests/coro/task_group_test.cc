#include "coro/task_group.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coro/cancel.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<absl::Status> give(absl::Status status) { co_return status; }
Task<absl::Status> sleep_long() { co_return co_await sleep_for(24h); }

struct Counted {
  explicit Counted(int& n) : alive(&n) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    if (alive != nullptr) {
      --*alive;
    }
  }
  int* alive;
};

// Makes groups that end at once, each of which another thread may cancel.
Task<void> end_groups(int rounds, std::mutex& mutex, TaskGroup*& current) {
  for (int i = 0; i < rounds; ++i) {
    TaskGroup group(co_await this_task());
    group.spawn(give(absl::OkStatus()));
    {
      const std::lock_guard lock(mutex);
      current = &group;
    }
    (co_await group.join()).IgnoreError();
    const std::lock_guard lock(mutex);
    current = nullptr;
  }
}

TEST_CASE("a cancel() from another thread that meets the end of join() loses no wake-up") {
  const auto context = make_context();
  std::mutex mutex;
  TaskGroup* current = nullptr;
  std::atomic<bool> over{false};
  std::atomic<int> arrived{0};
  int posted = 0;
  std::thread other([&] {
    while (!over.load()) {
      {
        const std::lock_guard lock(mutex);
        if (current != nullptr) {
          current->cancel();
        }
      }
      if (posted - arrived.load() < 4) {
        ++posted;
        context->post([&] { ++arrived; });
      }
    }
  });
  const TestTimeout timeout;
  run(*context, end_groups(kSanitized ? 20'000 : 200'000, mutex, current));
  over = true;
  other.join();
  while (arrived.load() != posted) {
    context->poll(true);
  }
  CHECK(arrived.load() == posted);
}

TEST_CASE("a group without tasks is joined at once") {
  const auto context = make_context();
  CHECK(run(*context,
            []() -> Task<absl::Status> {
              TaskGroup group(co_await this_task());
              co_return co_await group.join();
            }())
            .ok());
}

TEST_CASE("a group that is cancelled after a time without end is not cancelled") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        TaskGroup group({context, {}});
        bool slept = false;
        group.spawn([](bool& ended) -> Task<void> {
          const absl::Status status = co_await sleep_for(1h);
          ended = status.ok();
        }(slept));
        group.cancel_after(std::chrono::hours::max());
        context.poll(false);
        clock.advance(1h);
        const absl::Status status = run(context, [](TaskGroup& tasks) -> Task<absl::Status> {
          co_return co_await tasks.join();
        }(group));
        CHECK(status.ok());
        CHECK(slept);
      },
      {.clock = &clock});
}

TEST_CASE("a spawned task does not run inside spawn") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    TaskGroup group(co_await this_task());
    bool ran = false;
    group.spawn([](bool& flag) -> Task<void> {
      flag = true;
      co_return;
    }(ran));
    CHECK(!ran);
    CHECK(group.size() == 1);
    CHECK((co_await group.join()).ok());
    CHECK(ran);
    CHECK(group.size() == 0);
  }());
}

TEST_CASE("join waits for all, the tasks that tasks have spawned included, and nothing is left") {
  on_every_context([](Context& context) {
    int alive = 0;
    int ended = 0;
    run(context, [](int& live, int& ends) -> Task<void> {
      TaskGroup group(co_await this_task());
      for (int i = 0; i < 100; ++i) {
        group.spawn([](TaskGroup& g, Counted held, int& n) -> Task<void> {
          co_await yield();
          g.spawn([](Counted, int& m) -> Task<void> {
            (co_await sleep_for(1us)).IgnoreError();
            ++m;
          }(Counted(*held.alive), n));
          ++n;
        }(group, Counted(live), ends));
      }
      CHECK((co_await group.join()).ok());
      CHECK(ends == 200);
      CHECK(live == 0);
    }(alive, ended));
  });
}

TEST_CASE("the first failure cancels the others, and is what join reports") {
  on_every_context([](Context& context) {
    const absl::Status status = run(context, []() -> Task<absl::Status> {
      TaskGroup group(co_await this_task());
      group.spawn(sleep_long());
      group.spawn(give(absl::NotFoundError("first")));
      group.spawn(give(absl::InternalError("second")));
      co_return co_await group.join();
    }());
    CHECK(status == absl::NotFoundError("first"));
  });
}

Task<absl::Status> was_cancelled() {
  const TaskEnv here = co_await this_task();
  co_return here.token.cancel_requested() ? absl::InternalError("cancelled") : absl::OkStatus();
}

TEST_CASE("a group whose join reported a failure is as new: an attempt can be repeated") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      TaskGroup group(co_await this_task());
      for (int attempt = 0; attempt < 3; ++attempt) {
        group.spawn(give(absl::NotFoundError("")));
        group.spawn(sleep_long());
        CHECK(absl::IsNotFound(co_await group.join()));
        group.spawn(was_cancelled());
        CHECK((co_await group.join()).ok());
      }
    }());
  });
}

TEST_CASE("a group that cancel() was called on stays cancelled after join, also after a failure") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    TaskGroup group(co_await this_task());
    group.spawn(give(absl::NotFoundError("")));
    co_await yield();
    co_await yield();
    group.cancel();
    CHECK(absl::IsNotFound(co_await group.join()));
    group.spawn(sleep_long());
    CHECK((co_await group.join()).ok());
  }());
}

TEST_CASE("what cancel cuts short is no failure") {
  on_every_context([](Context& context) {
    CHECK(run(context,
              []() -> Task<absl::Status> {
                TaskGroup group(co_await this_task());
                group.spawn(sleep_long());
                co_await yield();
                group.cancel();
                group.spawn(sleep_long());  // and neither what comes later
                co_return co_await group.join();
              }())
              .ok());
  });
}

TEST_CASE("a failure after cancel is one") {
  const auto context = make_context();
  CHECK(absl::IsDataLoss(run(*context, []() -> Task<absl::Status> {
    TaskGroup group(co_await this_task());
    group.spawn([]() -> Task<absl::Status> {
      (co_await sleep_long()).IgnoreError();
      co_return absl::DataLossError("could not clean up");
    }());
    co_await yield();
    group.cancel();
    co_return co_await group.join();
  }())));
}

Task<absl::Status> group_of_sleepers() {
  TaskGroup group(co_await this_task());
  group.spawn(sleep_long());
  group.spawn(sleep_long());
  co_return co_await group.join();
}

TEST_CASE("cancelling the owner cancels the group, and join does not pass that for success") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      TaskGroup outer(co_await this_task());
      absl::Status seen;
      outer.spawn(
          [](absl::Status& status) -> Task<void> { status = co_await group_of_sleepers(); }(seen));
      co_await yield();
      co_await yield();
      outer.cancel();
      CHECK((co_await outer.join()).ok());
      CHECK(absl::IsCancelled(seen));

      outer.spawn(
          [](absl::Status& status) -> Task<void> { status = co_await group_of_sleepers(); }(seen));
      seen = absl::OkStatus();
      CHECK((co_await outer.join()).ok());
      CHECK(absl::IsCancelled(seen));  // cancelled before the inner group was made
    }());
  });
}

TEST_CASE("a cause outranks the cancellation that came before it") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    TaskGroup outer(co_await this_task());
    absl::Status seen;
    outer.spawn([](absl::Status& status) -> Task<void> {
      TaskGroup inner(co_await this_task());
      inner.spawn(sleep_long());
      inner.spawn([]() -> Task<absl::Status> {
        (co_await sleep_long()).IgnoreError();
        co_return absl::DataLossError("");
      }());
      status = co_await inner.join();
    }(seen));
    co_await yield();
    co_await yield();
    outer.cancel();
    CHECK((co_await outer.join()).ok());
    CHECK(absl::IsDataLoss(seen));
  }());
}

TEST_CASE("cancel_after cancels at its time, and not when all have ended before") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, [](ManualClock& time) -> Task<void> {
          TaskGroup group(co_await this_task());
          group.spawn(sleep_long());
          group.cancel_after(1s);
          co_await yield();
          time.advance(1s);
          CHECK((co_await group.join()).ok());

          TaskGroup quick(co_await this_task());
          quick.spawn(give(absl::OkStatus()));
          quick.cancel_after(1s);
          CHECK((co_await quick.join()).ok());
          time.advance(2s);
          co_await yield();
          quick.spawn([]() -> Task<absl::Status> {
            const bool cancelled = (co_await this_task()).token.cancel_requested();
            co_return cancelled ? absl::InternalError("") : absl::OkStatus();
          }());
          CHECK((co_await quick.join()).ok());
        }(clock));
      },
      {.clock = &clock});
}

TEST_CASE("a deadline that is set before the first task is spawned counts from that moment") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, [](ManualClock& time) -> Task<void> {
          TaskGroup group(co_await this_task());
          group.cancel_after(1s);
          time.advance(999ms);
          co_await yield();
          group.spawn(sleep_long());
          co_await yield();
          CHECK(group.size() == 1);
          time.advance(1ms);
          CHECK((co_await group.join()).ok());
        }(clock));
      },
      {.clock = &clock});
}

TEST_CASE("a deadline outlasts a moment in which the group is empty") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, [](ManualClock& time) -> Task<void> {
          TaskGroup group(co_await this_task());
          group.spawn(give(absl::OkStatus()));
          group.cancel_after(1s);
          while (group.size() != 0) {
            co_await yield();
          }
          group.spawn(sleep_long());
          co_await yield();
          time.advance(1s);
          CHECK((co_await group.join()).ok());
        }(clock));
      },
      {.clock = &clock});
}

TEST_CASE("a thousand tasks come and go") {
  on_every_context([](Context& context) {
    int count = 0;
    run(context, [](int& n) -> Task<void> {
      TaskGroup group(co_await this_task());
      for (int i = 0; i < 1000; ++i) {
        group.spawn([](int& m) -> Task<void> {
          co_await yield();
          ++m;
        }(n));
      }
      CHECK((co_await group.join()).ok());
    }(count));
    CHECK(count == 1000);
  });
}

TEST_CASE("misuse of a group ends the process with the fix") {
  const std::string words = abort_message([] {
    run(*make_context(), []() -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(sleep_long());
    }());
  });
  CAPTURE(words);
  CHECK(words.find("co_await join() on every way out") != std::string::npos);
  CHECK(words.find("exception or a co_return") != std::string::npos);
}

TEST_CASE("spawning into a group from another thread ends the process with the fix") {
  const std::string words = abort_message([] {
    run(*make_context(), []() -> Task<void> {
      TaskGroup group(co_await this_task());
      std::thread([&] { group.spawn(sleep_long()); }).join();
    }());
  });
  CAPTURE(words);
  CHECK(words.find("used on another thread than its context's: post()") != std::string::npos);
}

TEST_CASE("a group with the token of another context's source ends the process with the fix") {
  const std::string words = abort_message([] {
    const auto here = make_context();
    const auto there = make_context();
    CancelSource source(*there);
    const TaskGroup group(TaskEnv{*here, source.token()});
  });
  CAPTURE(words);
  CHECK(words.find("make it from co_await this_task()") != std::string::npos);
}

Task<void> end_without_join(Task<absl::Status> child) {
  TaskGroup group(co_await this_task());
  group.spawn(std::move(child));
  while (group.size() != 0) {
    co_await yield();
  }
}

TEST_CASE("a failure that no join has reported goes to the sink of the context") {
  std::vector<std::string> told;
  const auto context =
      make_context({.sink = [&](absl::string_view sentence) { told.emplace_back(sentence); }});
  run(*context, end_without_join(give(absl::NotFoundError("the file"))));
  REQUIRE(told.size() == 1);
  CAPTURE(told[0]);
  CHECK(told[0].find("no join() has reported: NOT_FOUND: the file") != std::string::npos);
  CHECK(context->messages() == 1);
}

TEST_CASE("a group that has reported its failure, or has none, tells the sink nothing") {
  const auto context = make_context();
  run(*context, end_without_join(give(absl::OkStatus())));
  const absl::Status failure = run(*context, []() -> Task<absl::Status> {
    TaskGroup group(co_await this_task());
    group.spawn(give(absl::NotFoundError("")));
    co_return co_await group.join();
  }());
  CHECK(absl::IsNotFound(failure));
  run(*context, []() -> Task<void> {
    TaskGroup group(co_await this_task());
    group.spawn(sleep_long());
    group.cancel();
    while (group.size() != 0) {
      co_await yield();
    }
  }());
  CHECK(context->messages() == 0);
}

#if defined(__cpp_exceptions)

Task<void> fail(std::string what) {
  co_await yield();
  throw std::runtime_error(what);
}

TEST_CASE("an exception cancels the others, and is thrown by join") {
  on_every_context([](Context& context) {
    const auto join = []() -> Task<absl::Status> {
      TaskGroup group(co_await this_task());
      group.spawn(sleep_long());
      group.spawn(fail("first"));
      group.spawn(fail("second"));
      co_return co_await group.join();
    };
    CHECK_THROWS_WITH_AS(run(context, join()).IgnoreError(), "first", std::runtime_error);
  });
}

TEST_CASE("an exception that no join has thrown goes to the sink of the context") {
  const auto context = make_context();
  run(*context, end_without_join([]() -> Task<absl::Status> {
    co_await fail("lost");
    co_return absl::OkStatus();
  }()));
  CHECK(context->messages() == 1);
  CHECK(context->last_message().find("has reported: an exception") != std::string::npos);
}

TEST_CASE("a failure that came before an exception is what join reports") {
  const auto context = make_context();
  const auto join = []() -> Task<absl::Status> {
    TaskGroup group(co_await this_task());
    group.spawn(fail("too late"));
    group.spawn(give(absl::NotFoundError("first")));
    co_return co_await group.join();
  };
  CHECK(run(*context, join()) == absl::NotFoundError("first"));
}

#endif

}  // namespace
}  // namespace coaio::testing
