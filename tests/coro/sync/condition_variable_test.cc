#include "coro/sync/condition_variable.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sync/mutex.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/sync/actors.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

struct Scene {
  Scene() : context(make_context()), changed(mutex) {}

  // Waits until value >= wanted; writes the name, in capitals if the wait was cancelled.
  Task<void> wait_for(int wanted, char name) {
    absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
    while (value < wanted) {
      const absl::Status status = co_await changed.wait(*lock);
      CHECK_FALSE(mutex.try_lock().has_value());  // owned again, however the wait ended
      ++wakes;
      if (!status.ok()) {
        log += static_cast<char>(name - 'a' + 'A');
        co_return;
      }
    }
    log += name;
  }

  std::unique_ptr<Context> context;
  Mutex mutex;
  ConditionVariable changed;
  int value = 0;
  int wakes = 0;
  std::string log;
};

TEST_CASE("notify_all wakes every task that waits, and those whose condition holds go on") {
  Scene scene;
  Actors actors(*scene.context);
  actors.start("a", scene.wait_for(1, 'a'));
  actors.start("b", scene.wait_for(2, 'b'));
  actors.start("c", scene.wait_for(1, 'c'));
  actors.settle();
  scene.value = 1;
  scene.changed.notify_all();
  actors.settle();
  CHECK(scene.wakes == 3);
  CHECK(scene.log == "ac");
  scene.value = 2;
  scene.changed.notify_all();
  actors.settle();
  CHECK(scene.log == "acb");
}

TEST_CASE("notify_one wakes the task that has waited longest, and is lost without one") {
  Scene scene;
  Actors actors(*scene.context);
  scene.changed.notify_one();
  actors.start("a", scene.wait_for(1, 'a'));
  actors.start("b", scene.wait_for(1, 'b'));
  actors.settle();
  CHECK(scene.log.empty());
  scene.value = 1;
  scene.changed.notify_one();
  actors.settle();
  CHECK(scene.log == "a");
  scene.changed.notify_one();
  actors.settle();
  CHECK(scene.log == "ab");
}

TEST_CASE("a notification under the lock waits for the lock to be given up") {
  Scene scene;
  Actors actors(*scene.context);
  actors.start("a", scene.wait_for(1, 'a'));
  actors.settle();
  std::optional<Mutex::Lock> lock = scene.mutex.try_lock();
  scene.value = 1;
  scene.changed.notify_one();
  actors.settle();
  CHECK(scene.log.empty());
  lock.reset();
  actors.settle();
  CHECK(scene.log == "a");
}

TEST_CASE("a cancelled wait for a condition owns the lock again before it ends") {
  Scene scene;
  Actors actors(*scene.context);
  actors.start("a", scene.wait_for(1, 'a'));
  actors.settle();
  std::optional<Mutex::Lock> lock = scene.mutex.try_lock();
  actors.cancel("a");
  actors.settle();
  CHECK(scene.log.empty());
  lock.reset();
  actors.settle();
  CHECK(scene.log == "A");
  CHECK(scene.mutex.try_lock().has_value());
}

TEST_CASE("a notification and a cancellation meet: neither is passed to a task that is gone") {
  Scene scene;
  Actors actors(*scene.context);
  actors.start("a", scene.wait_for(1, 'a'));
  actors.start("b", scene.wait_for(1, 'b'));
  actors.settle();
  scene.value = 1;
  SUBCASE("the notification is first") {
    scene.changed.notify_one();
    actors.cancel("a");
    actors.settle();
    CHECK(scene.log == "a");  // and so the notification was not lost
    scene.changed.notify_one();
  }
  SUBCASE("the cancellation is first") {
    actors.cancel("a");
    actors.settle();
    CHECK(scene.log == "A");
    scene.changed.notify_one();
  }
  actors.settle();
  CHECK(scene.log.back() == 'b');
}

TEST_CASE("a wait for a condition with the lock of another mutex is told so") {
  CHECK(abort_message([] {
          Mutex mine;
          Mutex other;
          ConditionVariable changed(mine);
          std::optional<Mutex::Lock> lock = other.try_lock();
          static_cast<void>(changed.wait(*lock));
        }).find("with the lock of another mutex") != std::string::npos);
}

TEST_CASE("no notification of another thread is lost") {
  constexpr int kRounds = 5'000;
  Scene scene;
  ContextThread other;
  run(*scene.context, [](Scene& s, Context& elsewhere) -> Task<void> {
    TaskGroup group(co_await this_task());
    group.spawn([](Scene& same, Context& target) -> Task<void> {
      co_await resume_on(target);
      for (int i = 0; i < kRounds; ++i) {
        const absl::StatusOr<Mutex::Lock> lock = co_await same.mutex.lock();
        ++same.value;
        same.changed.notify_all();
      }
    }(s, elsewhere));
    for (int i = 0; i < 4; ++i) {
      group.spawn(s.wait_for(kRounds - i, 'x'));
    }
    (co_await group.join()).IgnoreError();
  }(scene, other.context()));
  CHECK(scene.log == "xxxx");
}

}  // namespace
}  // namespace coaio::testing
