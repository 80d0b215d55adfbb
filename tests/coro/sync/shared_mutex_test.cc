#include "coro/sync/shared_mutex.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "coro/sync/event.h"
#include "coro/task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/sync/actors.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

// Readers write "r(" and "r)", writers "W[" and "W]", with their names; "-" if cancelled.
Task<void> read(SharedMutex& mutex, Event& leave, char name, std::string& log) {
  const absl::StatusOr<SharedMutex::SharedLock> lock = co_await mutex.lock_shared();
  if (!lock.ok()) {
    log += '-';
    co_return;
  }
  log += name;
  (co_await leave.wait()).IgnoreError();
  log += ')';
}

Task<void> write(SharedMutex& mutex, Event& leave, char name, std::string& log) {
  const absl::StatusOr<SharedMutex::Lock> lock = co_await mutex.lock();
  if (!lock.ok()) {
    log += '-';
    co_return;
  }
  log += name;
  (co_await leave.wait()).IgnoreError();
  log += ']';
}

TEST_CASE("readers share the lock, and a writer has it alone") {
  const auto context = make_context();
  SharedMutex mutex;
  Event readers_leave;
  Event writer_leaves;
  std::string log;
  Actors actors(*context);
  actors.start("a", read(mutex, readers_leave, 'a', log));
  actors.start("b", read(mutex, readers_leave, 'b', log));
  actors.start("w", write(mutex, writer_leaves, 'w', log));
  actors.settle();
  CHECK(log == "ab");
  CHECK_FALSE(mutex.try_lock().has_value());
  readers_leave.set();
  actors.settle();
  CHECK(log == "ab))w");
  CHECK_FALSE(mutex.try_lock_shared().has_value());
  writer_leaves.set();
  actors.settle();
  CHECK(log == "ab))w]");
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE("a reader that comes after a waiting writer waits behind it") {
  const auto context = make_context();
  SharedMutex mutex;
  Event leave;
  Event writer_leaves;
  std::string log;
  Actors actors(*context);
  actors.start("a", read(mutex, leave, 'a', log));
  actors.start("w", write(mutex, writer_leaves, 'w', log));
  actors.start("b", read(mutex, leave, 'b', log));
  actors.start("c", read(mutex, leave, 'c', log));
  actors.settle();
  CHECK(log == "a");
  CHECK_FALSE(mutex.try_lock_shared().has_value());
  leave.set();
  actors.settle();
  CHECK(log == "a)w");
  writer_leaves.set();
  actors.settle();
  CHECK(log.substr(0, 4) == "a)w]");
  CHECK(log.size() == 8);
}

TEST_CASE("a cancelled writer lets the readers behind it go on in that turn") {
  const auto context = make_context();
  SharedMutex mutex;
  Event leave;
  std::string log;
  Actors actors(*context);
  actors.start("a", read(mutex, leave, 'a', log));
  actors.start("w", write(mutex, leave, 'w', log));
  actors.start("b", read(mutex, leave, 'b', log));
  actors.settle();
  CHECK(log == "a");
  actors.cancel("w");
  actors.settle();
  CHECK((log == "a-b" || log == "ab-"));
  leave.set();
  actors.settle();
}

TEST_CASE("a lock that was handed to a task that is then cancelled is the task's") {
  const auto context = make_context();
  SharedMutex mutex;
  Event leave(true);
  std::string log;
  Actors actors(*context);
  std::optional<SharedMutex::Lock> lock = mutex.try_lock();
  actors.start("a", read(mutex, leave, 'a', log));
  actors.start("w", write(mutex, leave, 'w', log));
  actors.settle();
  lock.reset();
  actors.cancel("a");
  actors.settle();
  CHECK(log == "a)w]");
}

TEST_CASE("a shared mutex that is destroyed while it is locked is told so") {
  CHECK(abort_message([] {
          auto mutex = std::make_unique<SharedMutex>();
          const std::optional<SharedMutex::SharedLock> lock = mutex->try_lock_shared();
          mutex.reset();
        }).find("a shared mutex is destroyed while tasks own it") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
