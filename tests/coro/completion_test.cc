#include "coro/completion.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// What wait() gives for each T.
static_assert(std::is_same_v<Completion<int>::Wait::Result, absl::StatusOr<int>>);
static_assert(std::is_same_v<Completion<>::Wait::Result, absl::Status>);
static_assert(std::is_same_v<Completion<absl::Status>::Wait::Result, absl::Status>);
static_assert(std::is_same_v<Completion<absl::StatusOr<int>>::Wait::Result, absl::StatusOr<int>>);

TEST_CASE("a result that was set before the wait is there when the task asks") {
  on_every_context([](Context& context) {
    const absl::StatusOr<int> result = run(context, []() -> Task<absl::StatusOr<int>> {
      Completion<int> completion(co_await this_task());
      CHECK(completion.set(7));
      CHECK(!completion.set(8));
      co_await yield();
      CHECK(completion.arrived());
      co_return co_await completion.wait();
    }());
    REQUIRE(result.ok());
    CHECK(*result == 7);
  });
}

TEST_CASE("a callback of the same thread sets the result, and the task does not run inside set") {
  on_every_context([](Context& context) {
    bool went_on = false;
    const auto task = [](bool& on) -> Task<std::unique_ptr<int>> {
      const TaskEnv here = co_await this_task();
      Completion<std::unique_ptr<int>> completion(here);
      here.context.post([&] {
        CHECK(completion.set(std::make_unique<int>(5)));
        CHECK(!on);
      });
      absl::StatusOr<std::unique_ptr<int>> result = co_await completion.wait();
      on = true;
      co_return *std::move(result);
    };
    const std::unique_ptr<int> result = run(context, task(went_on));
    CHECK(*result == 5);
    CHECK(went_on);
  });
}

TEST_CASE("another thread sets the result, and a task that sleeps in the kernel goes on at home") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      const std::thread::id home = std::this_thread::get_id();
      Completion<std::string> completion(co_await this_task());
      std::jthread setter([&] { completion.set(100, 'x'); });
      const absl::StatusOr<std::string> result = co_await completion.wait();
      CHECK(std::this_thread::get_id() == home);
      REQUIRE(result.ok());
      CHECK(*result == std::string(100, 'x'));
    }());
  });
}

TEST_CASE("a completion of nothing, of a status and of a status-or give what was set") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    const TaskEnv here = co_await this_task();
    Completion<> nothing(here);
    nothing.set();
    CHECK((co_await nothing.wait()).ok());
    Completion<absl::Status> status(here);
    status.set(absl::NotFoundError("gone"));
    CHECK(co_await status.wait() == absl::NotFoundError("gone"));
    Completion<absl::StatusOr<int>> either(here);
    either.set(absl::InternalError("broken"));
    const absl::StatusOr<int> result = co_await either.wait();
    CHECK(result.status() == absl::InternalError("broken"));
    Completion<> shielded(here);
    shielded.set();
    co_await shielded.wait_shielded();
  }());
}

Completion<int>* in_signal = nullptr;
void set_in_signal(int) { in_signal->set_from_signal(9); }

TEST_CASE("a signal handler sets the result") {
  on_every_context([](Context& context) {
    struct sigaction action{};
    action.sa_handler = set_in_signal;
    struct sigaction former{};
    REQUIRE(sigaction(SIGUSR1, &action, &former) == 0);
    const absl::StatusOr<int> result = run(context, []() -> Task<absl::StatusOr<int>> {
      Completion<int> completion(co_await this_task());
      in_signal = &completion;
      std::raise(SIGUSR1);
      CHECK(!completion.arrived());
      co_return co_await completion.wait();
    }());
    sigaction(SIGUSR1, &former, nullptr);
    REQUIRE(result.ok());
    CHECK(*result == 9);
  });
}

TEST_CASE("a task that was cancelled before does not wait, but gets a result that is there") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    source.request_cancel();
    run(
        context,
        []() -> Task<void> {
          const TaskEnv here = co_await this_task();
          Completion<int> never(here);
          CHECK(absl::IsCancelled((co_await never.wait()).status()));
          Completion<int> there(here);
          there.set(3);
          co_await yield();
          const absl::StatusOr<int> result = co_await there.wait();
          REQUIRE(result.ok());
          CHECK(*result == 3);
        }(),
        source.token());
  });
}

TEST_CASE("a wait that is cancelled leaves the completion to a late setter, and to a second wait") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    run(
        context,
        [](CancelSource& cancel) -> Task<void> {
          Completion<int> completion(co_await this_task());
          std::thread canceller([&] { cancel.request_cancel(); });
          const absl::StatusOr<int> cut = co_await completion.wait();
          canceller.join();
          CHECK(absl::IsCancelled(cut.status()));
          std::jthread setter([&] { CHECK(completion.set(4)); });
          CHECK(co_await completion.wait_shielded() == 4);
        }(source),
        source.token());
  });
}

TEST_CASE("a result that nobody awaits any more is destroyed with its completion") {
  const auto context = make_context();
  const auto kept = std::make_shared<int>(0);
  run(*context, [](const std::shared_ptr<int>& value) -> Task<void> {
    for (const bool arrives : {true, false}) {
      Completion<std::shared_ptr<int>> completion(co_await this_task());
      completion.set(value);
      CHECK(value.use_count() == 2);
      if (arrives) {
        co_await yield();
      }
    }
  }(kept));
  CHECK(kept.use_count() == 1);
  CHECK(!context->poll(false));  // nothing is left in the queue
}

TEST_CASE("a shielded wait goes on through a cancellation") {
  on_every_context([](Context& context) {
    for (const bool before : {true, false}) {
      CancelSource source(context);
      if (before) {
        source.request_cancel();
      }
      run(
          context,
          [](CancelSource& cancel) -> Task<void> {
            const TaskEnv here = co_await this_task();
            Completion<int> completion(here);
            here.context.post([&] {
              cancel.request_cancel();
              here.context.post([&] { completion.set(6); });
            });
            CHECK(co_await completion.wait_shielded() == 6);
          }(source),
          source.token());
    }
  });
}

TEST_CASE("a result and a cancellation of the same turn give the result, whichever came first") {
  on_every_context([](Context& context) {
    for (const bool result_first : {true, false}) {
      CancelSource source(context);
      run(
          context,
          [](CancelSource& cancel, bool first) -> Task<void> {
            const TaskEnv here = co_await this_task();
            Completion<int> completion(here);
            here.context.post([&] {
              if (first) {
                completion.set(1);
              }
              cancel.request_cancel();
              if (!first) {
                completion.set(1);
              }
            });
            const absl::StatusOr<int> result = co_await completion.wait();
            REQUIRE(result.ok());
            CHECK(*result == 1);
          }(source, result_first),
          source.token());
    }
  });
}

TEST_CASE(
    "of several setters one wins, and no result is lost or doubled while a task is cancelled") {
  constexpr int kRounds = kSanitized ? 300 : 2'000;
  const auto context = make_context();
  std::atomic<int> won{0};
  int got = 0;
  for (int round = 0; round < kRounds; ++round) {
    CancelSource source(*context);
    run(
        *context,
        [](CancelSource& cancel, std::atomic<int>& wins, int& results) -> Task<void> {
          Completion<int> completion(co_await this_task());
          const auto setter = [&] { wins += completion.set(1) ? 1 : 0; };
          std::jthread first(setter);
          std::jthread canceller([&] { cancel.request_cancel(); });
          std::jthread second(setter);
          absl::StatusOr<int> result = co_await completion.wait();
          if (!result.ok()) {
            result = co_await completion.wait_shielded();
          }
          results += *result;
        }(source, won, got),
        source.token());
  }
  CHECK(won == kRounds);
  CHECK(got == kRounds);
}

TEST_CASE("the task may destroy the completion while the set that it has heard of returns") {
  constexpr int kRounds = kSanitized ? 1'000 : 20'000;
  const auto context = make_context();
  std::atomic<Completion<int>*> asked{nullptr};
  std::atomic<bool> ended{false};
  std::thread setter([&] {
    while (!ended) {
      if (Completion<int>* completion = asked.exchange(nullptr)) {
        completion->set(1);
      }
    }
  });
  const int sum = run(*context, [](std::atomic<Completion<int>*>& ask) -> Task<int> {
    int results = 0;
    for (int i = 0; i < kRounds; ++i) {
      auto completion = std::make_unique<Completion<int>>(co_await this_task());
      ask = completion.get();
      results += co_await completion->wait_shielded();
      completion.reset();
    }
    co_return results;
  }(asked));
  ended = true;
  setter.join();
  CHECK(sum == kRounds);
}

TEST_CASE("results that are always there leave the other tasks their turn") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    TaskGroup group(co_await this_task());
    bool other_ran = false;
    int rounds = 0;
    group.spawn([&other_ran]() -> Task<void> {
      co_await yield();
      other_ran = true;
    });
    group.spawn([&]() -> Task<void> {
      const TaskEnv here = co_await this_task();
      std::vector<std::unique_ptr<Completion<>>> ready;
      for (int i = 0; i < 1'000; ++i) {
        ready.push_back(std::make_unique<Completion<>>(here));
        ready.back()->set();
      }
      co_await yield();
      other_ran = false;
      here.context.post([&] { other_ran = true; });
      for (const auto& completion : ready) {
        (co_await completion->wait()).IgnoreError();
        if (other_ran) {
          break;
        }
        ++rounds;
      }
    });
    CHECK((co_await group.join()).ok());
    CHECK(other_ran);
    CHECK(rounds < 1'000);
  }());
}

TEST_CASE("a completion allocates nothing") {
  const auto context = make_context();
  const std::size_t made = run(*context, []() -> Task<std::size_t> {
    const TaskEnv here = co_await this_task();
    const std::size_t before = allocations_so_far();
    for (int i = 0; i < 100; ++i) {
      Completion<int> completion(here);
      completion.set(i);
      const int result = co_await completion.wait_shielded();
      CHECK_UNARY(result == i);
    }
    co_return allocations_so_far() - before;
  }());
  CHECK(made == 0);
}

TEST_CASE("misuse of a completion ends with a sentence that tells the fix") {
  CHECK(abort_message([] {
          const auto context = make_context();
          run(*context, []() -> Task<void> {
            Completion<> completion(co_await this_task());
            completion.set();
            co_await completion.wait_shielded();
            co_await completion.wait_shielded();
          }());
        }).find("make a new one for each result") != std::string::npos);
  CHECK(abort_message([] {
          const auto context = make_context();
          run(*context, []() -> Task<void> {
            const TaskEnv here = co_await this_task();
            Completion<> completion(here);
            TaskGroup group(here);
            for (int i = 0; i < 2; ++i) {
              group.spawn([&]() -> Task<void> { co_await completion.wait_shielded(); });
            }
            (co_await group.join()).IgnoreError();
          }());
        }).find("two tasks await one completion") != std::string::npos);
  CHECK(abort_message([] {
          const auto context = make_context();
          ContextThread other;
          run(*context, [](Context& target) -> Task<void> {
            Completion<> completion(co_await this_task());
            co_await resume_on(target);
            co_await completion.wait_shielded();
          }(other.context()));
        }).find("resume_on its context first") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
