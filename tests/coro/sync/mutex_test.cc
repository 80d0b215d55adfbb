#include "coro/sync/mutex.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sync/event.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/sync/actors.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

// Takes the lock, writes "a(", keeps it until `leave` is set, and writes "a)"; writes "A" if the
// wait for the lock was cancelled.
Task<void> hold(Mutex& mutex, Event& leave, char name, std::string& log) {
  absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
  if (!lock.ok()) {
    CHECK(absl::IsCancelled(lock.status()));
    log += static_cast<char>(name - 'a' + 'A');
    co_return;
  }
  log += name;
  log += '(';
  (co_await leave.wait()).IgnoreError();
  log += name;
  log += ')';
}

TEST_CASE("a mutex is owned by one task at a time, in the order of asking") {
  const auto context = make_context();
  Mutex mutex;
  Event leave;
  std::string log;
  Actors actors(*context);
  for (const char name : {'a', 'b', 'c'}) {
    actors.start({name}, hold(mutex, leave, name, log));
    actors.settle();
  }
  CHECK(log == "a(");
  CHECK_FALSE(mutex.try_lock().has_value());
  leave.set();
  actors.settle();
  CHECK(log == "a(a)b(b)c(c)");
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE("a task that asks for a mutex that is being handed on does not come between") {
  const auto context = make_context();
  Mutex mutex;
  Event leave(true);
  std::string log;
  Actors actors(*context);
  std::optional<Mutex::Lock> lock = mutex.try_lock();
  actors.start("a", hold(mutex, leave, 'a', log));
  actors.settle();
  lock.reset();
  CHECK_FALSE(mutex.try_lock().has_value());  // it is the task's, which has not run yet
  actors.settle();
  CHECK(log == "a(a)");
}

TEST_CASE("unlock, then cancel in the same turn: the waiter owns the lock") {
  const auto context = make_context();
  Mutex mutex;
  Event leave(true);
  std::string log;
  Actors actors(*context);
  std::optional<Mutex::Lock> lock = mutex.try_lock();
  actors.start("b", hold(mutex, leave, 'b', log));
  actors.start("c", hold(mutex, leave, 'c', log));
  actors.settle();
  lock.reset();
  actors.cancel("b");
  actors.settle();
  CHECK(log == "b(b)c(c)");
}

TEST_CASE("cancel, then unlock in the same turn: exactly one of two waiters owns the lock") {
  const auto context = make_context();
  Mutex mutex;
  Event leave(true);
  std::string log;
  Actors actors(*context);
  std::optional<Mutex::Lock> lock = mutex.try_lock();
  actors.start("b", hold(mutex, leave, 'b', log));
  actors.start("c", hold(mutex, leave, 'c', log));
  actors.settle();
  actors.cancel("b");
  lock.reset();
  actors.settle();
  // The request travels through the run queue, so unlocking was first and decided.
  CHECK(log == "b(b)c(c)");
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE(
    "a wait for a mutex that is cancelled leaves the queue, and the next waiter gets the lock") {
  const auto context = make_context();
  Mutex mutex;
  Event leave(true);
  std::string log;
  Actors actors(*context);
  std::optional<Mutex::Lock> lock = mutex.try_lock();
  actors.start("b", hold(mutex, leave, 'b', log));
  actors.start("c", hold(mutex, leave, 'c', log));
  actors.settle();
  actors.cancel("b");
  actors.settle();
  CHECK(log == "B");
  lock.reset();
  actors.settle();
  CHECK(log == "Bc(c)");
}

TEST_CASE("a lock that is moved, or moved from, unlocks once") {
  Mutex mutex;
  std::optional<Mutex::Lock> lock = mutex.try_lock();
  {
    const Mutex::Lock moved = *std::move(lock);
    lock.reset();  // NOLINT(bugprone-use-after-move)
    CHECK_FALSE(mutex.try_lock().has_value());
  }
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE("locks of two contexts exclude each other, and each shows what the one before wrote") {
  constexpr int kRounds = 20'000;
  const auto context = make_context();
  Mutex mutex;
  int counter = 0;
  const auto count = [](Mutex& m, int& c) -> Task<void> {
    for (int i = 0; i < kRounds; ++i) {
      const absl::StatusOr<Mutex::Lock> lock = co_await m.lock();
      const int before = c;
      if (i % 16 == 0) {
        co_await yield();
      }
      c = before + 1;
    }
  };
  ContextThread other;
  Event started;
  run(*context, [](Context& elsewhere, Task<void> there, Task<void> here) -> Task<void> {
    TaskGroup group(co_await this_task());
    group.spawn([](Context& target, Task<void> work) -> Task<void> {
      co_await resume_on(target);
      co_await std::move(work);
    }(elsewhere, std::move(there)));
    group.spawn(std::move(here));
    (co_await group.join()).IgnoreError();
  }(other.context(), count(mutex, counter), count(mutex, counter)));
  CHECK(counter == 2 * kRounds);
}

TEST_CASE("handing a mutex over allocates nothing") {
  const auto context = make_context();
  Mutex mutex;
  const auto work = [](Mutex& m) -> Task<void> {
    for (int i = 0; i < 1000; ++i) {
      const absl::StatusOr<Mutex::Lock> lock = co_await m.lock();
      co_await yield();
    }
  };
  const std::size_t made = run(*context, [](Task<void> a, Task<void> b) -> Task<std::size_t> {
    TaskGroup group(co_await this_task());
    group.spawn(std::move(a));
    group.spawn(std::move(b));
    const std::size_t before = allocations_so_far();
    (co_await group.join()).IgnoreError();
    co_return allocations_so_far() - before;
  }(work(mutex), work(mutex)));
  CHECK(made == 0);
}

TEST_CASE("a mutex that is destroyed while it is locked is told so") {
  CHECK(abort_message([] {
          auto mutex = std::make_unique<Mutex>();
          const std::optional<Mutex::Lock> lock = mutex->try_lock();
          mutex.reset();
        }).find("a mutex is destroyed while a task owns it") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
