// A forked child has copies of the parent's synchronisation objects, which only the parent's tasks
// use: they end silently there.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/sync/channel.h"
#include "coro/sync/condition_variable.h"
#include "coro/sync/event.h"
#include "coro/sync/mutex.h"
#include "coro/sync/semaphore.h"
#include "coro/sync/shared_mutex.h"
#include "coro/task.h"
#include "doctest/doctest.h"
#include "tests/coro/sync/actors.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

// Objects that tasks wait for, and what those tasks wait for.
struct Objects {
  std::unique_ptr<Mutex> mutex = std::make_unique<Mutex>();
  std::unique_ptr<Mutex> other_mutex = std::make_unique<Mutex>();
  std::unique_ptr<ConditionVariable> changed = std::make_unique<ConditionVariable>(*other_mutex);
  std::unique_ptr<SharedMutex> shared_mutex = std::make_unique<SharedMutex>();
  std::unique_ptr<Semaphore> semaphore = std::make_unique<Semaphore>(1);
  std::unique_ptr<Event> event = std::make_unique<Event>();
  std::unique_ptr<Channel<int>> channel = std::make_unique<Channel<int>>(1);

  std::optional<Mutex::Lock> lock = mutex->try_lock();
  std::optional<SharedMutex::Lock> writing = shared_mutex->try_lock();
  std::optional<Semaphore::Permits> permit = semaphore->try_acquire();
};

template <typename Awaitable>
Task<void> await(Awaitable awaitable) {
  [[maybe_unused]] const auto result = co_await awaitable();
}

Task<void> wait_for_change(Objects& objects) {
  absl::StatusOr<Mutex::Lock> lock = co_await objects.other_mutex->lock();
  if (lock.ok()) {
    (co_await objects.changed->wait(*lock)).IgnoreError();
  }
}

TEST_CASE("in a forked child, what tasks of the parent own and wait for ends silently") {
  const auto context = make_context();
  Objects objects;
  Actors actors(*context);
  actors.start("mutex", await([&] { return objects.mutex->lock(); }));
  actors.start("condition", wait_for_change(objects));
  actors.start("shared mutex", await([&] { return objects.shared_mutex->lock_shared(); }));
  actors.start("semaphore", await([&] { return objects.semaphore->acquire(); }));
  actors.start("event", await([&] { return objects.event->wait(); }));
  actors.start("channel", await([&] { return objects.channel->receive(); }));
  actors.settle();
  CHECK(run_in_child([&]() -> std::string {
          objects.lock.reset();
          objects.writing.reset();
          objects.permit.reset();
          objects.changed.reset();
          objects.other_mutex.reset();
          objects.mutex.reset();
          objects.shared_mutex.reset();
          objects.semaphore.reset();
          objects.event.reset();
          objects.channel.reset();
          return "";
        }) == "");
  CHECK_FALSE(actors.ended("mutex"));
}

}  // namespace
}  // namespace coaio::testing
