#include "coro/sync/semaphore.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
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

// Writes the name when the permits are there, and keeps them until `leave` is set.
Task<void> use(Semaphore& semaphore, std::size_t count, Event& leave, char name, std::string& log) {
  absl::StatusOr<Semaphore::Permits> permits = co_await semaphore.acquire(count);
  log += permits.ok() ? name : static_cast<char>(name - 'a' + 'A');
  if (permits.ok()) {
    CHECK(permits->count() == count);
    (co_await leave.wait()).IgnoreError();
  }
}

TEST_CASE("a semaphore lets as many tasks through as it has permits, in the order of asking") {
  const auto context = make_context();
  Semaphore semaphore(2);
  Event leave;
  std::string log;
  Actors actors(*context);
  for (const char name : {'a', 'b', 'c', 'd'}) {
    actors.start({name}, use(semaphore, 1, leave, name, log));
    actors.settle();
  }
  CHECK(log == "ab");
  CHECK(semaphore.available() == 0);
  leave.set();
  actors.settle();
  CHECK(log == "abcd");
  CHECK(semaphore.available() == 2);
}

TEST_CASE("a task that asks for many permits is not passed over by those behind it") {
  const auto context = make_context();
  Semaphore semaphore(2);
  Event leave;
  std::string log;
  Actors actors(*context);
  actors.start("a", use(semaphore, 1, leave, 'a', log));
  actors.start("b", use(semaphore, 2, leave, 'b', log));
  actors.start("c", use(semaphore, 1, leave, 'c', log));
  actors.settle();
  CHECK(log == "a");
  CHECK_FALSE(semaphore.try_acquire().has_value());  // one is there, and it is for b
  leave.set();
  actors.settle();
  CHECK(log == "abc");
}

TEST_CASE("a cancelled wait for many permits lets those behind it go on in that turn") {
  const auto context = make_context();
  Semaphore semaphore(1);
  Event leave;
  std::string log;
  Actors actors(*context);
  actors.start("b", use(semaphore, 2, leave, 'b', log));
  actors.start("c", use(semaphore, 1, leave, 'c', log));
  actors.settle();
  CHECK(log.empty());
  actors.cancel("b");
  actors.settle();
  CHECK((log == "Bc" || log == "cB"));
  leave.set();
  actors.settle();
  CHECK(semaphore.available() == 1);
}

TEST_CASE("a permit that was handed to a task that is then cancelled is not lost") {
  const auto context = make_context();
  Semaphore semaphore(0);
  Event leave(true);
  std::string log;
  Actors actors(*context);
  actors.start("a", use(semaphore, 1, leave, 'a', log));
  actors.settle();
  semaphore.release();
  actors.cancel("a");
  actors.settle();
  CHECK(log == "a");
  CHECK(semaphore.available() == 1);
}

TEST_CASE("permits give themselves back once, or not at all when they are forgotten") {
  Semaphore semaphore(3);
  {
    std::optional<Semaphore::Permits> two = semaphore.try_acquire(2);
    CHECK(semaphore.available() == 1);
    const Semaphore::Permits moved = *std::move(two);
    two.reset();  // NOLINT(bugprone-use-after-move)
    CHECK(semaphore.available() == 1);
  }
  CHECK(semaphore.available() == 3);
  semaphore.try_acquire(1)->forget();
  CHECK(semaphore.available() == 2);
}

TEST_CASE("a semaphore that is destroyed while tasks wait for permits is told so") {
  CHECK(abort_message([] {
          const auto context = make_context();
          auto semaphore = std::make_unique<Semaphore>(0);
          Event leave;
          std::string log;
          Actors actors(*context);
          actors.start("a", use(*semaphore, 1, leave, 'a', log));
          actors.settle();
          semaphore.reset();
        }).find("a semaphore is destroyed while tasks wait") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
