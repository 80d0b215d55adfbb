// ContextThread and ContextPool.

#include "runtime/context_thread.h"

#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/task.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/context_pool.h"
#include "tests/support/abort_message.h"
#include "tests/support/child.h"

namespace coaio::testing {
namespace {

struct Seen {
  std::thread::id id;
  std::string name;
  std::vector<int> cpus;
};

// What a function that is posted to the context finds.
Seen ask(Context& context) {
  Seen seen;
  std::latch done(1);
  context.post([&] {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    seen = {std::this_thread::get_id(), name.data(), usable_cpus()};
    done.count_down();
  });
  done.wait();
  return seen;
}

TEST_CASE("a context thread runs its context, under its name, until the object ends") {
  std::optional<Seen> seen;
  {
    absl::StatusOr<ContextThread> thread =
        ContextThread::start({}, {.name = "a name of more than 15 bytes", .cpu = {}});
    REQUIRE(thread.ok());
    CHECK(!thread->context().is_home());
    CHECK(!thread->context().may_act());  // already the thread's
    seen = ask(thread->context());
    CHECK(seen->id == thread->id());
  }
  CHECK(seen->id != std::this_thread::get_id());
  CHECK(seen->name == "a name of more ");
  CHECK(seen->cpus == usable_cpus());
}

TEST_CASE("a context thread stays on the CPU that it is given") {
  const int cpu = usable_cpus().back();
  absl::StatusOr<ContextThread> thread = ContextThread::start({}, {.name = "pinned", .cpu = cpu});
  REQUIRE(thread.ok());
  const Seen seen = ask(thread->context());
  CHECK(seen.cpus == std::vector<int>{cpu});
  CHECK(seen.name == "pinned");
}

TEST_CASE("a CPU that there is not is an error that names it, and leaves no thread") {
  for (const int cpu : {-1, 60'000, 1 << 30}) {
    const absl::StatusOr<ContextThread> thread =
        ContextThread::start({}, {.name = "nowhere", .cpu = cpu});
    REQUIRE(!thread.ok());
    const std::string message(thread.status().message());
    CAPTURE(message);
    CHECK(message.find("\"nowhere\" on CPU " + std::to_string(cpu)) != std::string::npos);
    CHECK(message.find("taskset") != std::string::npos);
  }
}

TEST_CASE("options that no context can have are the error of start") {
  CHECK(absl::IsInvalidArgument(ContextThread::start({.polling_share = 2}).status()));
  CHECK(absl::IsInvalidArgument(
      ContextPool::start({.size = 2, .context = {.polling_share = 2}}).status()));
}

TEST_CASE("stop returns when the thread has ended, and what was posted before has been called") {
  absl::StatusOr<ContextThread> thread = ContextThread::start();
  REQUIRE(thread.ok());
  int called = 0;
  thread->context().post([&called] { ++called; });
  thread->stop();
  CHECK(called == 1);
  CHECK(thread->context().may_act());  // the home thread has ended
  thread->stop();
}

TEST_CASE("a context thread is moved, and an assignment stops the former one") {
  absl::StatusOr<ContextThread> first = ContextThread::start();
  absl::StatusOr<ContextThread> second = ContextThread::start();
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  Context* const kept = &second->context();
  ContextThread moved = *std::move(first);
  moved = *std::move(second);
  CHECK(&moved.context() == kept);
  CHECK(ask(*kept).id == moved.id());
}

TEST_CASE("a loop that its own code has stopped is joined as well") {
  absl::StatusOr<ContextThread> thread = ContextThread::start();
  REQUIRE(thread.ok());
  Context& context = thread->context();
  context.post([&context] { context.stop(); });
  thread->stop();
}

TEST_CASE("a context thread that stops itself is told how to do it") {
  CHECK(abort_message([] {
          absl::StatusOr<ContextThread> thread = ContextThread::start();
          std::latch never(1);
          thread->context().post([&] { thread->stop(); });
          never.wait();
        }).find("stopped by the thread itself") != std::string::npos);
}

TEST_CASE("a forked child may end a context thread of its parent, which does nothing") {
  absl::StatusOr<ContextPool> pool = ContextPool::start({.size = 2});
  REQUIRE(pool.ok());
  CHECK(run_in_child([&]() -> std::string {
          pool->stop();
          const ContextPool ended = *std::move(pool);
          return "";
        }) == "");
  CHECK(ask((*pool)[0]).id != std::this_thread::get_id());
}

TEST_CASE("a pool has a context for each CPU that may be used, each on its own if so asked") {
  const std::vector<int> cpus = usable_cpus();
  absl::StatusOr<ContextPool> pool = ContextPool::start({.pin = true, .name = "pool"});
  REQUIRE(pool.ok());
  REQUIRE(pool->size() == cpus.size());
  for (std::size_t i = 0; i < pool->size(); ++i) {
    const Seen seen = ask((*pool)[i]);
    CHECK(seen.cpus == std::vector<int>{cpus[i]});
    CHECK(seen.name == "pool/" + std::to_string(i));
  }
}

TEST_CASE("more contexts than CPUs share them in turn") {
  const std::vector<int> cpus = usable_cpus();
  absl::StatusOr<ContextPool> pool = ContextPool::start({.size = cpus.size() + 1, .pin = true});
  REQUIRE(pool.ok());
  CHECK(ask((*pool)[cpus.size()]).cpus == std::vector<int>{cpus[0]});
}

TEST_CASE("next gives one context after the other, to all callers together") {
  absl::StatusOr<ContextPool> pool = ContextPool::start({.size = 3});
  REQUIRE(pool.ok());
  std::map<const Context*, int> given;
  for (int i = 0; i < 6; ++i) {
    ++given[&pool->next()];
  }
  REQUIRE(given.size() == 3);
  for (const auto& [context, times] : given) {
    CHECK(times == 2);
  }
  std::array<std::atomic<int>, 3> counts{};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < 3; ++t) {
      callers.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          Context* const next = &pool->next();
          for (std::size_t c = 0; c < 3; ++c) {
            counts[c] += next == &(*pool)[c] ? 1 : 0;
          }
        }
      });
    }
  }
  for (const auto& count : counts) {
    CHECK(count == 100);
  }
}

TEST_CASE("a key has one context, and keys that are alike are spread over all") {
  absl::StatusOr<ContextPool> pool = ContextPool::start({.size = 4});
  REQUIRE(pool.ok());
  for (const std::uint64_t stride : {std::uint64_t{1}, std::uint64_t{64}, std::uint64_t{1} << 40}) {
    std::map<const Context*, int> given;
    for (std::uint64_t i = 0; i < 400; ++i) {
      Context& context = pool->by_key(i * stride);
      CHECK(&context == &pool->by_key(i * stride));
      ++given[&context];
    }
    REQUIRE(given.size() == 4);
    for (const auto& [context, times] : given) {
      CHECK(times > 50);
    }
  }
}

TEST_CASE("a task visits every context of a pool, and brings its result home") {
  absl::StatusOr<ContextPool> pool = ContextPool::start({.size = 3});
  REQUIRE(pool.ok());
  const auto visit = [](ContextPool& contexts) -> Task<std::size_t> {
    std::set<std::thread::id> seen;
    for (std::size_t i = 0; i < contexts.size(); ++i) {
      co_await resume_on(contexts.next());
      seen.insert(std::this_thread::get_id());
    }
    co_return seen.size();
  };
  const absl::StatusOr<std::unique_ptr<Context>> home = Context::create();
  REQUIRE(home.ok());
  CHECK(run(**home, visit(*pool)) == 3);
  pool->stop();
}

}  // namespace
}  // namespace coaio::testing
