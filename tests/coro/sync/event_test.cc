#include "coro/sync/event.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/run.h"
#include "coro/sync/latch.h"
#include "coro/task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/sync/actors.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

// Writes the name when the wait has ended, in capitals if it was cancelled.
template <typename Object>
Task<void> wait_and_tell(Object& object, char name, std::string& log) {
  const absl::Status status = co_await object.wait();
  log += status.ok() ? name : static_cast<char>(name - 'a' + 'A');
}

TEST_CASE("an event wakes all that wait for it, in the order of waiting, and stays set") {
  const auto context = make_context();
  Event event;
  std::string log;
  Actors actors(*context);
  for (const char name : {'a', 'b', 'c'}) {
    actors.start({name}, wait_and_tell(event, name, log));
    actors.settle();
  }
  CHECK(log.empty());
  event.set();
  CHECK(log.empty());  // no task runs inside set()
  actors.settle();
  CHECK(log == "abc");
  actors.start("d", wait_and_tell(event, 'd', log));
  actors.settle();
  CHECK(log == "abcd");
}

TEST_CASE("an event that was reset makes tasks wait again") {
  const auto context = make_context();
  Event event(true);
  std::string log;
  Actors actors(*context);
  CHECK(event.is_set());
  event.reset();
  CHECK_FALSE(event.is_set());
  actors.start("a", wait_and_tell(event, 'a', log));
  actors.settle();
  CHECK(log.empty());
  event.set();
  event.reset();  // those that waited are on their way already
  actors.settle();
  CHECK(log == "a");
}

TEST_CASE("a wait for an event that is cancelled ends with kCancelled, and the others go on") {
  const auto context = make_context();
  Event event;
  std::string log;
  Actors actors(*context);
  for (const char name : {'a', 'b', 'c'}) {
    actors.start({name}, wait_and_tell(event, name, log));
    actors.settle();
  }
  actors.cancel("b");
  actors.settle();
  CHECK(log == "B");
  event.set();
  actors.settle();
  CHECK(log == "Bac");
}

TEST_CASE("a wait for an event that has ended can be awaited again, also after a cancellation") {
  const auto context = make_context();
  Event event;
  std::string log;
  Actors actors(*context);
  actors.start("a", [](Event& awaited, std::string& told) -> Task<void> {
    Event::Wait wait = awaited.wait();
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = co_await wait;
      told += status.ok() ? 'o' : 'C';
    }
  }(event, log));
  actors.settle();
  event.set();
  event.reset();
  actors.settle();
  CHECK(log == "o");
  actors.cancel("a");
  actors.settle();
  CHECK(log == "oCC");
}

TEST_CASE("a task that was cancelled before it waits for an event does not wait") {
  const auto context = make_context();
  Event event;
  std::string log;
  Actors actors(*context);
  actors.start("a", wait_and_tell(event, 'a', log));
  actors.cancel("a");
  actors.settle();
  CHECK(log == "A");
}

TEST_CASE("an event and a cancellation of one turn: the first of the two decides") {
  const auto context = make_context();
  std::string log;
  {
    Event event;
    Actors actors(*context);
    actors.start("a", wait_and_tell(event, 'a', log));
    actors.settle();
    event.set();
    actors.cancel("a");
    actors.settle();
  }
  CHECK(log == "a");
}

TEST_CASE("a task may destroy the event that has woken it") {
  const auto context = make_context();
  bool ended = false;
  Actors actors(*context);
  auto event = std::make_unique<Event>();
  Event& same = *event;
  actors.start("a", [](std::unique_ptr<Event> own, bool& flag) -> Task<void> {
    const absl::Status status = co_await own->wait();
    own.reset();
    flag = status.ok();
  }(std::move(event), ended));
  actors.settle();
  same.set();
  actors.settle();
  CHECK(ended);
}

TEST_CASE(
    "an event that another thread sets wakes a task that sleeps, and shows what was written") {
  const auto context = make_context();
  ContextThread other;
  for (int round = 0; round < 100; ++round) {
    Event event;
    int written = 0;
    other.context().post([&] {
      written = 7;
      event.set();
    });
    const int seen = run(*context, [](Event& e, int& value) -> Task<int> {
      (co_await e.wait()).IgnoreError();
      co_return value;
    }(event, written));
    CHECK(seen == 7);
  }
}

TEST_CASE("waiting for an event allocates nothing") {
  const auto context = make_context();
  Event event;
  const std::size_t made = run(*context, [](Event& e) -> Task<std::size_t> {
    const std::size_t before = allocations_so_far();
    for (int i = 0; i < 1000; ++i) {
      e.set();
      (co_await e.wait()).IgnoreError();
      e.reset();
    }
    co_return allocations_so_far() - before;
  }(event));
  CHECK(made == 0);
}

TEST_CASE("an event that is destroyed while a task waits for it is told so") {
  CHECK(abort_message([] {
          const auto context = make_context();
          context->bind();
          auto event = std::make_unique<Event>();
          std::string log;
          Actors actors(*context);
          actors.start("a", wait_and_tell(*event, 'a', log));
          actors.settle();
          event.reset();
        }).find("an event is destroyed while tasks wait for it") != std::string::npos);
}

TEST_CASE("a task that is destroyed while it waits for an event is told so") {
  CHECK(abort_message([] {
          const auto context = make_context();
          context->bind();
          Event event;
          std::string log;
          internal::TaskOwner owner(*context, [](internal::TaskOwner&, PromiseBase&) {});
          const auto handle = wait_and_tell(event, 'a', log).release();
          handle.promise().start(owner, CancelToken());
          while (context->poll(false)) {
          }
          handle.destroy();
        }).find("a task is destroyed while it waits") != std::string::npos);
}

TEST_CASE("a latch wakes its tasks when the last count is taken") {
  const auto context = make_context();
  Latch latch(2);
  std::string log;
  Actors actors(*context);
  actors.start("a", wait_and_tell(latch, 'a', log));
  actors.start("b", wait_and_tell(latch, 'b', log));
  actors.settle();
  latch.count_down();
  actors.settle();
  CHECK(log.empty());
  CHECK_FALSE(latch.is_done());
  latch.count_down();
  CHECK(latch.is_done());
  actors.settle();
  CHECK(log == "ab");
  actors.start("c", wait_and_tell(latch, 'c', log));
  actors.settle();
  CHECK(log == "abc");
}

TEST_CASE("a latch of nothing is done, and one that is counted below zero says so") {
  CHECK(Latch(0).is_done());
  CHECK(abort_message([] { Latch(1).count_down(2); }).find("below zero") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
