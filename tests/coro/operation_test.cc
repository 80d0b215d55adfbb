// What authors of awaitables rely on: coro/operation.h and coro/promise.h.

#include "coro/operation.h"

#include <chrono>
#include <coroutine>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/time/clock.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// A task waits at it until open() is called.
struct Gate {
  class Wait;

  void open();

  Wait* waiting = nullptr;
  int withdrawn = 0;
};

class Gate::Wait : private Operation {
 public:
  explicit Wait(Gate& gate) : Operation(&Wait::withdraw), gate_(gate) {}

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    return suspend(task.promise());
  }
  absl::Status await_resume() const { return was_cancelled() ? cancelled() : absl::OkStatus(); }

  using Operation::complete_soon;

 private:
  bool suspend(PromiseBase& task) {
    if (!start(task)) {
      return complete_at_once();
    }
    gate_.waiting = this;
    return true;
  }

  static void withdraw(CancelNode& node) {
    auto& self = static_cast<Wait&>(static_cast<Operation&>(node));
    self.gate_.waiting = nullptr;
    ++self.gate_.withdrawn;
    self.complete_cancelled();
  }

  Gate& gate_;
};

void Gate::open() { std::exchange(waiting, nullptr)->complete_soon(); }

Task<absl::Status> pass(Gate& gate) { co_return co_await Gate::Wait(gate); }

TEST_CASE("an operation that is completed inside somebody's call resumes its task later") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    Gate gate;
    bool passed = false;
    TaskGroup group(co_await this_task());
    group.spawn(
        [](Gate& g, bool& flag) -> Task<void> { flag = (co_await pass(g)).ok(); }(gate, passed));
    while (gate.waiting == nullptr) {
      co_await yield();
    }
    gate.open();
    CHECK(!passed);
    CHECK((co_await group.join()).ok());
    CHECK(passed);
  }());
}

TEST_CASE("an operation that is completed and then cancelled has completed") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    Gate gate;
    absl::Status status = absl::UnknownError("nothing yet");
    TaskGroup group(co_await this_task());
    group.spawn([](Gate& g, absl::Status& s) -> Task<void> { s = co_await pass(g); }(gate, status));
    while (gate.waiting == nullptr) {
      co_await yield();
    }
    group.cancel();
    gate.open();  // before the request is delivered
    CHECK((co_await group.join()).ok());
    CHECK(status.ok());
    CHECK(gate.withdrawn == 0);
  }());
}

TEST_CASE(
    "an operation that is cancelled is withdrawn once, and one that comes later does not begin") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    Gate gate;
    absl::Status statuses[2];
    TaskGroup group(co_await this_task());
    group.spawn([](Gate& g, absl::Status* s) -> Task<void> {
      s[0] = co_await pass(g);
      s[1] = co_await pass(g);
    }(gate, statuses));
    while (gate.waiting == nullptr) {
      co_await yield();
    }
    group.cancel();
    group.cancel();
    CHECK((co_await group.join()).ok());
    CHECK(absl::IsCancelled(statuses[0]));
    CHECK(absl::IsCancelled(statuses[1]));
    CHECK(gate.withdrawn == 1);
  }());
}

TEST_CASE("one awaitable object that two tasks await ends the process with the fix") {
  const std::string words = abort_message([] {
    run(*make_context(), []() -> Task<void> {
      Sleep sleep = sleep_for(1h);
      const auto await_it = [](Sleep& one) -> Task<absl::Status> { co_return co_await one; };
      TaskGroup group(co_await this_task());
      group.spawn(await_it(sleep));
      group.spawn(await_it(sleep));
      (co_await group.join()).IgnoreError();
    }());
  });
  CAPTURE(words);
  CHECK(words.find("awaited by two tasks at the same time: make one for each task") !=
        std::string::npos);
}

TEST_CASE("one awaitable object may be awaited again and again, however each wait ended") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, [](ManualClock& time) -> Task<void> {
          TaskGroup group(co_await this_task());
          int waits = 0;
          group.spawn([](int& count) -> Task<void> {
            Sleep sleep = sleep_for(1s);
            while (true) {
              const absl::Status status = co_await sleep;
              ++count;
              if (!status.ok()) {
                break;
              }
            }
            CHECK(absl::IsCancelled(co_await sleep));
          }(waits));
          for (int i = 0; i < 3; ++i) {
            co_await yield();
            time.advance(1s);
            while (waits == i) {  // the other task counts. NOLINT(bugprone-infinite-loop)
              co_await yield();
            }
          }
          group.cancel();
          CHECK((co_await group.join()).ok());
          CHECK(waits == 4);
        }(clock));
      },
      {.clock = &clock});
}

// --- from elsewhere -----------------------------------------------------------------------------

// Resumed by a thread of its own, through the queue of the task's context.
struct Elsewhere {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> task) {
    PromiseBase& promise = task.promise();
    thread = std::thread([&promise] { ContextAccess(promise.context()).schedule(promise); });
  }
  void await_resume() { thread.join(); }

  std::thread thread;
};

TEST_CASE("a task resumes at its home, whichever thread completes what it waits for") {
  on_every_context([](Context& context) {
    run(context, [](Context& home) -> Task<void> {
      for (int i = 0; i < 100; ++i) {
        Elsewhere elsewhere;
        co_await elsewhere;
        CHECK(home.is_home());
      }
    }(context));
  });
}

// --- events that another thread hands over
// --------------------------------------------------------

// One permit, which any thread gives: to the task that waits, or else to the next one.
class Permit {
 public:
  class Wait;

  void give();
  int withdrawals() const { return withdrawals_; }

 private:
  std::mutex mutex_;
  Wait* waiting_ = nullptr;
  bool free_ = false;
  int withdrawals_ = 0;
};

class Permit::Wait : public AwaitableOperation<Wait> {
 public:
  explicit Wait(Permit& permit) : permit_(permit) {}

  absl::Status await_resume() {
    end_granted();
    CHECK(!listed());
    return was_cancelled() ? cancelled() : absl::OkStatus();
  }

 private:
  friend class Permit;
  friend class AwaitableOperation<Wait>;
  friend class Awaitable<Wait>;

  bool suspend(PromiseBase& task) {
    if (!start(task)) {
      return complete_at_once();
    }
    const std::lock_guard lock(permit_.mutex_);
    if (std::exchange(permit_.free_, false)) {
      return complete_at_once();
    }
    permit_.waiting_ = this;
    return true;
  }

  void withdraw() {
    const std::lock_guard lock(permit_.mutex_);
    ++permit_.withdrawals_;
    if (permit_.waiting_ == this) {
      permit_.waiting_ = nullptr;
      complete_cancelled();
    }
  }

  Permit& permit_;
};

void Permit::give() {
  const std::lock_guard lock(mutex_);
  if (Wait* waiting = std::exchange(waiting_, nullptr)) {
    waiting->schedule_granted();
  } else {
    free_ = true;
  }
}

Task<absl::Status> obtain(Permit& permit) { co_return co_await Permit::Wait(permit); }

TEST_CASE(
    "a task that another thread grants what it waits for resumes at home, out of every list") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    Permit permit;
    std::thread other;
    const absl::Status status = run(
        context,
        [](Context& home, Permit& wanted, std::thread& giver) -> Task<absl::Status> {
          Permit::Wait wait(wanted);
          giver = std::thread([&] { wanted.give(); });
          const absl::Status first = co_await wait;
          CHECK(home.is_home());
          giver.join();
          giver = std::thread([&] { wanted.give(); });
          const absl::Status second = co_await wait;  // the same object may be awaited again
          giver.join();
          CHECK(first.ok());
          co_return second;
        }(context, permit, other),
        source.token());
    CHECK(status.ok());
    CHECK(permit.withdrawals() == 0);
  });
}

TEST_CASE("a grant that comes before the request for cancellation wins, and none is lost") {
  on_every_context([](Context& context) {
    Permit permit;
    TaskGroup group({context, {}});
    absl::Status status = absl::UnknownError("nothing yet");
    group.spawn([](Permit& wanted, absl::Status& seen) -> Task<void> {
      seen = co_await obtain(wanted);
    }(permit, status));
    context.poll(false);
    group.cancel();  // is delivered before the task that is scheduled after it
    std::thread([&] { permit.give(); }).join();
    const absl::Status joined = run(context, [](TaskGroup& tasks) -> Task<absl::Status> {
      co_return co_await tasks.join();
    }(group));
    CHECK(joined.ok());
    CHECK(status.ok());
    CHECK(permit.withdrawals() == 1);
  });
}

TEST_CASE("a task that was cancelled while it waited for another thread leaves the grant") {
  on_every_context([](Context& context) {
    Permit permit;
    TaskGroup group({context, {}});
    absl::Status statuses[2];
    group.spawn([](Permit& wanted, absl::Status* seen) -> Task<void> {
      seen[0] = co_await obtain(wanted);
    }(permit, statuses));
    context.poll(false);
    group.cancel();
    context.poll(false);
    std::thread([&] { permit.give(); }).join();
    const auto join = [](TaskGroup& tasks) -> Task<absl::Status> {
      co_return co_await tasks.join();
    };
    const absl::Status joined = run(context, join(group));
    CHECK(joined.ok());
    CHECK(absl::IsCancelled(statuses[0]));
    statuses[1] = run(context, obtain(permit));
    CHECK(statuses[1].ok());
  });
}

TEST_CASE("grants and cancellations that race complete each wait exactly once") {
  on_every_context([](Context& context) {
    for (int i = 0; i < 200; ++i) {
      Permit permit;
      TaskGroup group({context, {}});
      int completions = 0;
      absl::Status status;
      group.spawn([](Permit& wanted, absl::Status& seen, int& count) -> Task<void> {
        seen = co_await obtain(wanted);
        ++count;
      }(permit, status, completions));
      context.poll(false);
      std::thread giver([&] { permit.give(); });
      std::thread canceller([&] { group.cancel(); });
      const absl::Status joined = run(context, [](TaskGroup& tasks) -> Task<absl::Status> {
        co_return co_await tasks.join();
      }(group));
      giver.join();
      canceller.join();
      CHECK(joined.ok());
      CHECK(completions == 1);
      if (!status.ok()) {  // the grant is still there
        const absl::Status next = run(context, obtain(permit));
        CHECK(next.ok());
      }
    }
  });
}

// --- what a promise knows
// -------------------------------------------------------------------------

struct Ask {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    promise = &task.promise();
    return false;
  }
  const PromiseBase* await_resume() const { return promise; }
  const PromiseBase* promise = nullptr;
};

TEST_CASE("a task knows the one that awaits it") {
  const auto context = make_context();
  run(*context, []() -> Task<void> {
    const PromiseBase* self = co_await Ask{};
    CHECK(self->parent() == nullptr);
    const PromiseBase* parent =
        co_await []() -> Task<const PromiseBase*> { co_return (co_await Ask{})->parent(); }();
    CHECK(parent == self);
  }());
}

}  // namespace
}  // namespace coaio::testing
