#include "coro/sync/channel.h"

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "coro/run.h"
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

// What became of an operation, as a word.
std::string told(const absl::Status& status) {
  return status.ok()                          ? "ok"
         : absl::IsCancelled(status)          ? "cancelled"
         : absl::IsFailedPrecondition(status) ? "closed"
         : absl::IsOutOfRange(status)         ? "end"
                                              : status.ToString();
}

Task<void> send(Channel<std::string>& channel, std::string value, std::string& log) {
  const absl::Status status = co_await channel.send(std::move(value));
  // What was not sent is still here. NOLINTNEXTLINE(bugprone-use-after-move)
  absl::StrAppend(&log, "send:", told(status), status.ok() ? "" : "=" + value, " ");
}

template <typename T>
Task<void> receive(T& channel, std::string& log) {
  const absl::StatusOr<std::string> value = co_await channel.receive();
  absl::StrAppend(&log, "receive:", value.ok() ? *value : told(value.status()), " ");
}

TEST_CASE("a channel gives its elements in the order of sending, and waits when it is full") {
  const auto context = make_context();
  Channel<std::string> channel(2);
  std::string log;
  Actors actors(*context);
  for (const char* value : {"a", "b", "c", "d"}) {
    actors.start(value, send(channel, value, log));
    actors.settle();
  }
  CHECK(log == "send:ok send:ok ");
  CHECK(channel.size() == 2);
  log.clear();
  for (int i = 0; i < 4; ++i) {
    actors.start("r", receive(channel, log));
    actors.settle();
  }
  CHECK(log == "receive:a send:ok receive:b send:ok receive:c receive:d ");
}

TEST_CASE("receivers of an empty channel are served in the order of waiting") {
  const auto context = make_context();
  Channel<std::string> channel(2);
  std::string log;
  Actors actors(*context);
  actors.start("r", receive(channel, log));
  actors.start("s", receive(channel, log));
  actors.settle();
  CHECK(log.empty());
  CHECK(channel.try_send("a"));
  CHECK(channel.try_send("b"));
  CHECK(log.empty());  // no task runs inside try_send()
  CHECK(channel.size() == 0);
  actors.settle();
  CHECK(log == "receive:a receive:b ");
}

TEST_CASE("a channel of capacity 0 hands each element from task to task") {
  const auto context = make_context();
  Channel<std::string> channel(0);
  std::string log;
  Actors actors(*context);
  CHECK_FALSE(channel.try_send("x"));
  actors.start("a", send(channel, "a", log));
  actors.settle();
  CHECK(log.empty());
  actors.start("r", receive(channel, log));
  actors.settle();
  CHECK(log == "receive:a send:ok ");
}

TEST_CASE("what is in a channel that is closed can be received; what waits to get in cannot") {
  const auto context = make_context();
  Channel<std::string> channel(1);
  std::string log;
  Actors actors(*context);
  actors.start("a", send(channel, "a", log));
  actors.start("b", send(channel, "b", log));
  actors.settle();
  channel.close();
  CHECK(channel.is_closed());
  actors.settle();
  CHECK(log == "send:ok send:closed=b ");
  log.clear();
  actors.start("c", send(channel, "c", log));
  actors.start("r", receive(channel, log));
  actors.start("s", receive(channel, log));
  actors.settle();
  CHECK(log == "send:closed=c receive:a receive:end ");
  CHECK_FALSE(channel.try_send("d"));
  CHECK_FALSE(channel.try_receive().has_value());
}

TEST_CASE("closing a channel wakes the receivers that wait") {
  const auto context = make_context();
  Channel<std::string> channel(1);
  std::string log;
  Actors actors(*context);
  actors.start("r", receive(channel, log));
  actors.settle();
  channel.close();
  actors.settle();
  CHECK(log == "receive:end ");
}

TEST_CASE("a cancelled send keeps its element, and a cancelled receive takes none") {
  const auto context = make_context();
  Channel<std::string> channel(0);
  std::string log;
  Actors actors(*context);
  actors.start("a", send(channel, "a", log));
  actors.start("b", send(channel, "b", log));
  actors.settle();
  actors.cancel("a");
  actors.settle();
  CHECK(log == "send:cancelled=a ");
  log.clear();
  actors.start("r", receive(channel, log));
  actors.settle();
  CHECK(log == "receive:b send:ok ");
  log.clear();
  actors.start("s", receive(channel, log));
  actors.settle();
  actors.cancel("s");
  actors.settle();
  CHECK(log == "receive:cancelled ");
  CHECK_FALSE(channel.try_send("c"));
}

TEST_CASE("an element that was handed to a receiver that is then cancelled is its result") {
  const auto context = make_context();
  Channel<std::string> channel(0);
  std::string log;
  Actors actors(*context);
  actors.start("r", receive(channel, log));
  actors.settle();
  CHECK(channel.try_send("a"));
  actors.cancel("r");
  actors.settle();
  CHECK(log == "receive:a ");
}

TEST_CASE("an element that was taken from a sender that is then cancelled was sent") {
  const auto context = make_context();
  Channel<std::string> channel(0);
  std::string log;
  Actors actors(*context);
  actors.start("a", send(channel, "a", log));
  actors.settle();
  CHECK(channel.try_receive() == "a");
  actors.cancel("a");
  actors.settle();
  CHECK(log == "send:ok ");
}

// Receives a batch of at least `min` into room for 4, and writes what came.
Task<void> receive_batch(Channel<std::string>& channel, std::size_t min, std::string& log) {
  std::array<std::string, 4> batch;
  const absl::StatusOr<std::size_t> count = co_await channel.receive(batch, min);
  absl::StrAppend(&log, "batch:");
  for (std::size_t i = 0; i < count.value_or(0); ++i) {
    log += batch[i];
  }
  absl::StrAppend(&log, count.ok() ? "" : told(count.status()), " ");
}

TEST_CASE("a batch takes what is there, and waits for its minimum") {
  const auto context = make_context();
  Channel<std::string> channel(8);
  std::string log;
  Actors actors(*context);
  for (const char* value : {"a", "b", "c", "d", "e"}) {
    CHECK(channel.try_send(value));
  }
  actors.start("r", receive_batch(channel, 1, log));
  actors.settle();
  CHECK(log == "batch:abcd ");
  log.clear();
  actors.start("s", receive_batch(channel, 3, log));
  actors.settle();
  CHECK(channel.try_send("f"));
  actors.settle();
  CHECK(log.empty());
  CHECK(channel.try_send("g"));
  CHECK(channel.try_send("h"));
  actors.settle();
  CHECK(log == "batch:efg ");
  CHECK(channel.size() == 1);
}

TEST_CASE("a batch that is cut short gives what it has got, and nothing is lost") {
  const auto context = make_context();
  Channel<std::string> channel(8);
  std::string log;
  Actors actors(*context);
  CHECK(channel.try_send("a"));
  actors.start("r", receive_batch(channel, 3, log));
  actors.settle();
  SUBCASE("by a cancellation") { actors.cancel("r"); }
  SUBCASE("by the end of the channel") { channel.close(); }
  actors.settle();
  CHECK(log == "batch:a ");
}

TEST_CASE("a batch that is cut short before it has got anything says why") {
  const auto context = make_context();
  Channel<std::string> channel(8);
  std::string log;
  Actors actors(*context);
  actors.start("r", receive_batch(channel, 3, log));
  actors.settle();
  actors.cancel("r");
  actors.settle();
  actors.start("s", receive_batch(channel, 3, log));
  channel.close();
  actors.settle();
  CHECK(log == "batch:cancelled batch:end ");
}

TEST_CASE("sends and receives that have ended can be awaited again") {
  const auto context = make_context();
  Channel<std::string> channel(4);
  const std::string log = run(*context, [](Channel<std::string>& c) -> Task<std::string> {
    std::string all;
    std::string element = "a";
    auto send = c.send(std::move(element));
    auto receive = c.receive();
    std::array<std::string, 2> batch;
    auto receive_batch = c.receive(batch);
    for (const char* value : {"a", "b"}) {
      element = value;
      (co_await send).IgnoreError();
      const absl::StatusOr<std::string> one = co_await receive;
      absl::StrAppend(&all, *one);
      element = value;
      (co_await send).IgnoreError();
      const absl::StatusOr<std::size_t> count = co_await receive_batch;
      absl::StrAppend(&all, *count, batch[0], " ");
    }
    c.close();
    const absl::StatusOr<std::string> end = co_await receive;
    const absl::StatusOr<std::size_t> end_of_batch = co_await receive_batch;
    const absl::Status closed = co_await send;
    absl::StrAppend(&all, told(end.status()), told(end_of_batch.status()), told(closed));
    co_return all;
  }(channel));
  CHECK(log == "a1a b1b endendclosed");
}

TEST_CASE("a batch of no element is told so") {
  CHECK(abort_message([] {
          Channel<int> channel(1);
          std::array<int, 2> batch{};
          static_cast<void>(channel.receive(batch, 0));
        }).find("a batch of a channel is asked for no element") != std::string::npos);
}

TEST_CASE("an unbounded channel takes any number of elements, in their order") {
  const auto context = make_context();
  UnboundedChannel<int> channel;
  for (int i = 0; i < 100; ++i) {
    CHECK(channel.send(int{i}));
    if (i % 3 == 0) {
      CHECK(channel.try_receive().has_value());  // so that the buffer wraps while it grows
    }
  }
  int expected = 34;
  while (const std::optional<int> value = channel.try_receive()) {
    CHECK(*value == expected++);
  }
  CHECK(expected == 100);
  channel.close();
  CHECK_FALSE(channel.send(1));
}

TEST_CASE("a channel carries elements that can only be moved, and destroys what is left in it") {
  const auto context = make_context();
  const auto value = std::make_shared<int>(1);
  {
    Channel<std::unique_ptr<std::shared_ptr<int>>> channel(4);
    CHECK(channel.try_send(std::make_unique<std::shared_ptr<int>>(value)));
    CHECK(channel.try_send(std::make_unique<std::shared_ptr<int>>(value)));
    CHECK(**channel.try_receive() == value);
    CHECK(value.use_count() == 2);
  }
  CHECK(value.use_count() == 1);
}

TEST_CASE("sending and receiving in one context allocates nothing") {
  const auto context = make_context();
  for (const std::size_t capacity : {0, 1, 16}) {
    Channel<int> channel(capacity);
    const std::size_t made = run(*context, [](Channel<int>& c) -> Task<std::size_t> {
      TaskGroup group(co_await this_task());
      group.spawn([](Channel<int>& same) -> Task<void> {
        for (int i = 0; i < 1000; ++i) {
          (co_await same.send(int{i})).IgnoreError();
        }
      }(c));
      co_await yield();  // the child has begun
      const std::size_t before = allocations_so_far();
      for (int i = 0; i < 1000; ++i) {
        const absl::StatusOr<int> value = co_await c.receive();
        CHECK(value.ok());
      }
      const std::size_t after = allocations_so_far();
      (co_await group.join()).IgnoreError();
      co_return after - before;
    }(channel));
    CHECK(made == 0);
  }
}

TEST_CASE("a channel that is destroyed while a task waits for it is told so") {
  CHECK(abort_message([] {
          const auto context = make_context();
          auto channel = std::make_unique<Channel<std::string>>(1);
          std::string log;
          Actors actors(*context);
          actors.start("r", receive(*channel, log));
          actors.settle();
          channel.reset();
        }).find("a channel is destroyed while tasks send or receive") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
