// Operations of tasks on two contexts, which a third thread cancels at random: nothing is lost and
// nothing is doubled. TestTimeout ends the process if a task is never woken.
//
// By default the test makes 20,000 operations in each case, 4,000 under a sanitizer. The target
// long_conservation_test, tagged stress, makes 10^9 in all.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sync/channel.h"
#include "coro/sync/condition_variable.h"
#include "coro/sync/mutex.h"
#include "coro/sync/semaphore.h"
#include "coro/sync/shared_mutex.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

// How many for each case, from the environment: doctest owns the command line.
std::uint64_t operations() {
  const char* asked = std::getenv("COAIO_STRESS_OPERATIONS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : kSanitized ? 4'000 : 20'000;
}

// One worker, and what the canceller may cancel of it.
struct Worker {
  void cancel() {
    const std::lock_guard lock(mutex);
    if (current != nullptr) {
      current->cancel();
    }
  }

  void set(TaskGroup* group) {
    const std::lock_guard lock(mutex);
    current = group;
  }

  std::mutex mutex;
  TaskGroup* current = nullptr;  // guarded by mutex
};

using Operation = std::function<Task<absl::Status>()>;

// Makes the operation again and again, each time in a group of its own.
Task<void> work(Context& home, Worker& worker, Operation operation, std::uint64_t times) {
  co_await resume_on(home);
  for (std::uint64_t i = 0; i < times; ++i) {
    TaskGroup group(TaskEnv{.context = home, .token = {}});
    group.spawn(operation());
    worker.set(&group);
    const absl::Status status = co_await group.join();
    worker.set(nullptr);
    CHECK(status.ok());
  }
}

// Runs the operations of each kind on two contexts, `workers` tasks for each pair, while another
// thread cancels.
void run_and_cancel(const std::vector<Operation>& kinds, int workers) {
  const auto context = make_context();
  ContextThread other;
  std::vector<std::unique_ptr<Worker>> all;
  const std::size_t count = kinds.size() * 2 * static_cast<std::size_t>(workers);
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::make_unique<Worker>());
  }
  std::atomic<bool> over{false};
  std::thread canceller([&] {
    std::mt19937 random(1);
    while (!over.load()) {
      all[random() % all.size()]->cancel();
      for (unsigned pause = random() % 64; pause > 0; --pause) {
        std::this_thread::yield();
      }
    }
  });
  const TestTimeout timeout(operations() > 1'000'000 ? 7200 : 120);
  run(*context,
      [](const std::vector<Operation>& operation_kinds, Context& here, Context& there,
         std::vector<std::unique_ptr<Worker>>& slots) -> Task<void> {
        const std::uint64_t times = operations() / slots.size();
        TaskGroup group(co_await this_task());
        for (std::size_t i = 0; i < slots.size(); ++i) {
          group.spawn(work(i % 2 == 0 ? here : there, *slots[i],
                           operation_kinds[i / 2 % operation_kinds.size()], times));
        }
        (co_await group.join()).IgnoreError();
      }(kinds, *context, other.context(), all));
  over = true;
  canceller.join();
}

absl::Status unless_cancelled(const absl::Status& status) {
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

TEST_CASE("a channel loses and doubles no element, whoever is cancelled") {
  for (const std::size_t capacity : {0, 1, 8}) {
    Channel<std::uint64_t> channel(capacity);
    std::atomic<std::uint64_t> sent{0};
    std::atomic<std::uint64_t> sum_sent{0};
    std::atomic<std::uint64_t> received{0};
    std::atomic<std::uint64_t> sum_received{0};
    std::atomic<std::uint64_t> next{1};
    // No partner is sure to come, so each operation is tried before it is awaited, and the
    // canceller ends those that wait for nothing.
    const Operation send = [&]() -> Task<absl::Status> {
      const std::uint64_t value = next.fetch_add(1);
      const absl::Status status = co_await channel.send(std::uint64_t{value});
      if (status.ok()) {
        sent.fetch_add(1);
        sum_sent.fetch_add(value);
      }
      co_return unless_cancelled(status);
    };
    const Operation receive = [&]() -> Task<absl::Status> {
      const absl::StatusOr<std::uint64_t> value = co_await channel.receive();
      if (value.ok()) {
        received.fetch_add(1);
        sum_received.fetch_add(*value);
      }
      co_return unless_cancelled(value.status());
    };
    const Operation receive_batch = [&]() -> Task<absl::Status> {
      std::array<std::uint64_t, 4> batch{};
      const absl::StatusOr<std::size_t> count = co_await channel.receive(batch, 2);
      for (std::size_t i = 0; i < count.value_or(0); ++i) {
        received.fetch_add(1);
        sum_received.fetch_add(batch[i]);
      }
      co_return unless_cancelled(count.status());
    };
    run_and_cancel({send, receive, send, receive_batch}, 2);
    while (const auto left = channel.try_receive()) {
      received.fetch_add(1);
      sum_received.fetch_add(*left);
    }
    CHECK(sent.load() == received.load());
    CHECK(sum_sent.load() == sum_received.load());
    CHECK(sent.load() != 0);
  }
}

TEST_CASE("a semaphore keeps its number of permits, whoever is cancelled") {
  constexpr std::size_t kPermits = 3;
  Semaphore semaphore(kPermits);
  std::atomic<std::size_t> in_use{0};
  std::atomic<std::size_t> most{0};
  const auto use = [&](std::size_t count) -> Task<absl::Status> {
    const absl::StatusOr<Semaphore::Permits> permits = co_await semaphore.acquire(count);
    if (permits.ok()) {
      const std::size_t now = in_use.fetch_add(count) + count;
      for (std::size_t seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      co_await yield();
      in_use.fetch_sub(count);
    }
    co_return unless_cancelled(permits.status());
  };
  run_and_cancel({[&use] { return use(1); }, [&use] { return use(3); }, [&use] { return use(2); }},
                 2);
  CHECK(semaphore.available() == kPermits);
  CHECK(most.load() <= kPermits);
}

TEST_CASE("a mutex has one owner and is free in the end, whoever is cancelled") {
  Mutex mutex;
  std::uint64_t owned = 0;  // guarded by the mutex, as the thread sanitizer checks
  const Operation use = [&]() -> Task<absl::Status> {
    const absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
    if (lock.ok()) {
      const std::uint64_t before = owned;
      co_await yield();
      owned = before + 1;
    }
    co_return unless_cancelled(lock.status());
  };
  run_and_cancel({use}, 4);
  CHECK(mutex.try_lock().has_value());
  CHECK(owned != 0);
}

TEST_CASE("a shared mutex never has a writer beside others, whoever is cancelled") {
  SharedMutex mutex;
  std::atomic<int> readers{0};
  std::atomic<int> writers{0};
  std::atomic<bool> broken{false};
  const Operation read = [&]() -> Task<absl::Status> {
    const absl::StatusOr<SharedMutex::SharedLock> lock = co_await mutex.lock_shared();
    if (lock.ok()) {
      readers.fetch_add(1);
      broken = broken || writers.load() != 0;
      co_await yield();
      readers.fetch_sub(1);
    }
    co_return unless_cancelled(lock.status());
  };
  const Operation write = [&]() -> Task<absl::Status> {
    const absl::StatusOr<SharedMutex::Lock> lock = co_await mutex.lock();
    if (lock.ok()) {
      broken = broken || writers.fetch_add(1) != 0 || readers.load() != 0;
      co_await yield();
      writers.fetch_sub(1);
    }
    co_return unless_cancelled(lock.status());
  };
  run_and_cancel({read, write, read}, 2);
  CHECK_FALSE(broken.load());
  CHECK(mutex.try_lock().has_value());
}

TEST_CASE("every change of a condition is seen, whoever is cancelled") {
  Mutex mutex;
  ConditionVariable changed(mutex);
  std::uint64_t tokens = 0;  // guarded by the mutex
  std::atomic<std::uint64_t> made{0};
  std::atomic<std::uint64_t> taken{0};
  const Operation make = [&]() -> Task<absl::Status> {
    const absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
    if (lock.ok()) {
      ++tokens;
      made.fetch_add(1);
      changed.notify_one();
    }
    co_return unless_cancelled(lock.status());
  };
  const Operation take = [&]() -> Task<absl::Status> {
    absl::StatusOr<Mutex::Lock> lock = co_await mutex.lock();
    if (!lock.ok()) {
      co_return unless_cancelled(lock.status());
    }
    while (tokens == 0) {
      const absl::Status status = co_await changed.wait(*lock);
      if (!status.ok()) {
        co_return unless_cancelled(status);
      }
    }
    --tokens;
    taken.fetch_add(1);
    co_return absl::OkStatus();
  };
  run_and_cancel({make, take}, 2);
  CHECK(made.load() == taken.load() + tokens);
  CHECK(mutex.try_lock().has_value());
}

}  // namespace
}  // namespace coaio::testing
