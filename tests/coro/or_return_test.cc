#include "coro/or_return.h"

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/io/io_result.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
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

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// Writes its name down when it is destroyed.
struct Local {
  Local(std::string& l, char n) : log(l), name(n) {}
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() { log += name; }
  std::string& log;
  char name;
};

absl::Status broken() { return absl::UnavailableError("broken"); }

Task<absl::Status> ends_with(absl::Status status) { co_return status; }
Task<absl::Status> suspends_and_ends_with(absl::Status status) {
  co_await yield();
  co_return status;
}
Task<absl::StatusOr<std::unique_ptr<int>>> makes(int number) {
  co_await yield();
  co_return std::make_unique<int>(number);
}
Task<absl::StatusOr<int>> makes_none(absl::Status status) { co_return status; }

// Whether a task with this result can await or_return(X).
template <typename Result, typename X>
concept CanEnd = requires(X x, std::coroutine_handle<typename Task<Result>::promise_type> task) {
  or_return(std::move(x)).await_suspend(task);
};
static_assert(CanEnd<absl::Status, absl::Status>);
static_assert(CanEnd<absl::StatusOr<int>, absl::Status>);
static_assert(CanEnd<absl::Status, absl::StatusOr<int>>);
static_assert(!CanEnd<void, absl::Status>);
static_assert(!CanEnd<int, absl::Status>);
static_assert(!CanEnd<IoResult, absl::Status>);

TEST_CASE("a result that is OK gives its value and the task goes on") {
  on_every_context([](Context& context) {
    const absl::StatusOr<int> sum = run(context, []() -> Task<absl::StatusOr<int>> {
      co_await or_return(absl::OkStatus());
      const absl::Status named = absl::OkStatus();
      co_await or_return(named);
      int result = co_await or_return(absl::StatusOr<int>(1));
      const std::unique_ptr<int> moved =
          co_await or_return(absl::StatusOr<std::unique_ptr<int>>(std::make_unique<int>(2)));
      result += *moved;
      const std::size_t count = co_await or_return(IoResult(4));
      result += static_cast<int>(count);
      const std::unique_ptr<int> awaited = co_await or_return(makes(8));
      result += *awaited;
      co_await or_return(ends_with(absl::OkStatus()));
      co_await or_return(sleep_for(0s));
      co_await or_return(sleep_for(1us));
      TaskGroup group(co_await this_task());
      co_await or_return(group.join());
      group.spawn(suspends_and_ends_with(absl::OkStatus()));
      co_await or_return(group.join());
      co_return result;
    }());
    REQUIRE(sum.ok());
    CHECK(*sum == 15);
  });
}

// Each way in which a failure can come.
enum class Way { kStatus, kStatusOr, kIoResult, kTask, kSuspendingTask, kTaskOfValue, kGroup };

Task<absl::Status> fails(Way way, std::string& log) {
  const Local first(log, 'a');
  const Local second(log, 'b');
  switch (way) {
    case Way::kStatus:
      co_await or_return(broken());
      break;
    case Way::kStatusOr: {
      [[maybe_unused]] const int none = co_await or_return(absl::StatusOr<int>(broken()));
      break;
    }
    case Way::kIoResult: {
      [[maybe_unused]] const std::size_t none = co_await or_return(IoResult(3, broken()));
      break;
    }
    case Way::kTask:
      co_await or_return(ends_with(broken()));
      break;
    case Way::kSuspendingTask:
      co_await or_return(suspends_and_ends_with(broken()));
      break;
    case Way::kTaskOfValue: {
      [[maybe_unused]] const int none = co_await or_return(makes_none(broken()));
      break;
    }
    case Way::kGroup: {
      TaskGroup group(co_await this_task());
      group.spawn(suspends_and_ends_with(broken()));
      co_await or_return(group.join());
      break;
    }
  }
  log += '!';
  co_return absl::OkStatus();
}

constexpr Way kWays[] = {Way::kStatus,         Way::kStatusOr,    Way::kIoResult, Way::kTask,
                         Way::kSuspendingTask, Way::kTaskOfValue, Way::kGroup};

TEST_CASE("a failure ends the task, and its local variables die before the parent goes on") {
  on_every_context([](Context& context) {
    for (const Way way : kWays) {
      CAPTURE(static_cast<int>(way));
      std::string log;
      const absl::Status status = run(context, [](Way w, std::string& l) -> Task<absl::Status> {
        absl::Status result = co_await fails(w, l);
        l += 'p';
        co_return result;
      }(way, log));
      CHECK(status == broken());
      CHECK(log == "bap");
    }
  });
}

TEST_CASE("a failure of a spawned task destroys its local variables before join() goes on") {
  on_every_context([](Context& context) {
    for (const Way way : kWays) {
      CAPTURE(static_cast<int>(way));
      std::string log;
      const absl::Status status = run(context, [](Way w, std::string& l) -> Task<absl::Status> {
        TaskGroup group(co_await this_task());
        group.spawn(fails(w, l));
        absl::Status result = co_await group.join();
        l += 'p';
        co_return result;
      }(way, log));
      CHECK(status == broken());
      CHECK(log == "bap");
    }
  });
}

TEST_CASE("a failure of the task of run() destroys its local variables before run() returns") {
  on_every_context([](Context& context) {
    for (const Way way : kWays) {
      CAPTURE(static_cast<int>(way));
      std::string log;
      CHECK(run(context, fails(way, log)) == broken());
      CHECK(log == "ba");
    }
  });
}

TEST_CASE("a failure goes up through every task that has or_return") {
  on_every_context([](Context& context) {
    std::string log;
    const absl::StatusOr<int> none = run(context, [](std::string& l) -> Task<absl::StatusOr<int>> {
      const Local outer(l, 'o');
      const int value = co_await or_return([](std::string& m) -> Task<absl::StatusOr<int>> {
        const Local inner(m, 'i');
        co_await or_return(fails(Way::kSuspendingTask, m));
        co_return 1;
      }(l));
      co_return value + 1;
    }(log));
    CHECK(none.status() == broken());
    CHECK(log == "baio");
  });
}

TEST_CASE("a cancellation comes through or_return as kCancelled") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    context.post([&] { source.request_cancel(); });
    const absl::Status status = run(
        context,
        []() -> Task<absl::Status> {
          co_await or_return(sleep_for(1h));
          co_return absl::OkStatus();
        }(),
        source.token());
    CHECK(status == cancelled());
  });
}

TEST_CASE("a hundred thousand results in a row keep the stack flat") {
  on_every_context([](Context& context) {
    const absl::StatusOr<int> sum = run(context, []() -> Task<absl::StatusOr<int>> {
      int result = 0;
      for (int i = 0; i < 100'000; ++i) {
        co_await or_return(ends_with(absl::OkStatus()));
        co_await or_return(sleep_for(0s));
        const absl::Status failed = co_await [](int& r) -> Task<absl::Status> {
          ++r;
          co_await or_return(broken());
          co_return absl::OkStatus();
        }(result);
        if (failed.ok()) {
          co_return -1;
        }
      }
      co_return result;
    }());
    REQUIRE(sum.ok());
    CHECK(*sum == 100'000);
  });
}

// --- tasks that have moved ----------------------------------------------------------------------

// Says where it was destroyed.
struct Homed {
  explicit Homed(std::thread::id& at) : where(at) {}
  Homed(const Homed&) = delete;
  Homed& operator=(const Homed&) = delete;
  ~Homed() { where = std::this_thread::get_id(); }
  std::thread::id& where;
};

Task<absl::StatusOr<int>> fails_on(Context& other, std::thread::id& where, bool back) {
  Context& home = (co_await this_task()).context;
  co_await resume_on(other);
  const Homed local(where);
  TaskGroup group(co_await this_task());  // is listed in the source of this home
  if (back) {
    group.spawn(suspends_and_ends_with(absl::OkStatus()));
    co_await or_return(group.join());
  }
  co_await or_return(suspends_and_ends_with(broken()));
  co_await resume_on(home);
  co_return 1;
}

TEST_CASE("a failure on another context destroys the local variables there, and resumes at home") {
  on_every_context([](Context& context) {
    ContextThread other;
    for (const bool detail : {false, true}) {
      std::thread::id awaited;
      std::thread::id awaiting;
      const absl::StatusOr<int> result =
          run(context,
              [](Context& o, std::thread::id& at, std::thread::id& me,
                 bool d) -> Task<absl::StatusOr<int>> {
                absl::StatusOr<int> inner = co_await fails_on(o, at, d);
                me = std::this_thread::get_id();
                co_return inner;
              }(other.context(), awaited, awaiting, detail));
      CHECK(result.status() == broken());
      CHECK(awaited == other.id());
      CHECK(awaiting == std::this_thread::get_id());

      std::thread::id run_directly;
      CHECK(run(context, fails_on(other.context(), run_directly, detail)).status() == broken());
      CHECK(run_directly == other.id());

      std::thread::id spawned;
      const absl::Status failure =
          run(context, [](Context& o, std::thread::id& at, bool d) -> Task<absl::Status> {
            TaskGroup group(co_await this_task());
            group.spawn([](Context& p, std::thread::id& a, bool e) -> Task<absl::Status> {
              [[maybe_unused]] const int none = co_await or_return(fails_on(p, a, e));
              co_return absl::OkStatus();
            }(o, at, d));
            group.spawn([](Context& p) -> Task<absl::Status> {
              co_await resume_on(p);
              co_await or_return(broken());
              co_return absl::OkStatus();
            }(o));
            co_return co_await group.join();
          }(other.context(), spawned, detail));
      CHECK(failure == broken());
      CHECK(spawned == other.id());
    }
  });
}

TEST_CASE("a failure after a return from another context ends the task at home") {
  on_every_context([](Context& context) {
    ContextThread other;
    std::thread::id where;
    const absl::Status status =
        run(context, [](Context& o, std::thread::id& at) -> Task<absl::Status> {
          co_return co_await [](Context& p, std::thread::id& a) -> Task<absl::Status> {
            Context& home = (co_await this_task()).context;
            co_await resume_on(p);
            co_await resume_on(home);
            const Homed local(a);
            co_await or_return(broken());
            co_return absl::OkStatus();
          }(o, at);
        }(other.context(), where));
    CHECK(status == broken());
    CHECK(where == std::this_thread::get_id());
  });
}

// --- errors, costs ------------------------------------------------------------------------------

#if defined(__cpp_exceptions)

TEST_CASE("an exception of what or_return awaits is thrown in the task") {
  on_every_context([](Context& context) {
    const auto task = []() -> Task<absl::Status> {
      co_await or_return([]() -> Task<absl::Status> {
        co_await yield();
        throw std::runtime_error("no");
      }());
      co_return absl::OkStatus();
    };
    CHECK_THROWS_AS(run(context, task()).IgnoreError(), std::runtime_error);
  });
}

#endif

TEST_CASE("a group that is not joined when or_return ends the task is an error") {
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          run(*context,
              []() -> Task<absl::Status> {
                TaskGroup group(co_await this_task());
                group.spawn(suspends_and_ends_with(absl::OkStatus()));
                co_await or_return(broken());
                co_return absl::OkStatus();
              }())
              .IgnoreError();
        }).find("co_await join() on every way out") != std::string::npos);
}

TEST_CASE("or_return allocates nothing in the steady state") {
  ManualClock clock;
  on_every_context(
      [](Context& context) {
        std::size_t made = 1;
        CHECK(run(context,
                  [](std::size_t& allocations) -> Task<absl::Status> {
                    for (int i = 0; i < 20; ++i) {
                      if (i == 10) {
                        allocations = allocations_so_far();
                      }
                      co_await or_return(suspends_and_ends_with(absl::OkStatus()));
                      co_await or_return(sleep_for(0s));
                      const absl::Status failed = co_await []() -> Task<absl::Status> {
                        co_await or_return(suspends_and_ends_with(cancelled()));
                        co_return absl::OkStatus();
                      }();
                      if (failed.ok()) {
                        co_return absl::UnknownError("");
                      }
                    }
                    allocations = allocations_so_far() - allocations;
                    co_return absl::OkStatus();
                  }(made))
                  .ok());
        if (!kSanitized) {
          CHECK(made == 0);
        }
      },
      {.clock = &clock});
}

}  // namespace
}  // namespace coaio::testing
