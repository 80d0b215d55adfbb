#include "coro/await_poll_source.h"

#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "backends/unique_fd.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/clock.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

class FakePollSource final : public AwaitablePollSource {
 public:
  FakePollSource() = default;
  explicit FakePollSource(const UniqueFd& doorbell) : AwaitablePollSource(doorbell.get()) {}
  bool ready() override { return full.load(std::memory_order_acquire); }

  std::atomic<bool> full{false};
};

// On every back end, with and without polling.
void with_source(const std::function<void(Context&, FakePollSource&)>& clause) {
  for (const PollPolicy& policy : {PollPolicy(PollOff{}), PollPolicy(PollFixed{100us})}) {
    on_every_context(
        [&](Context& context) {
          FakePollSource slot;
          const ScopedPollSource added(context, slot);
          clause(context, slot);
        },
        {.polling = policy});
  }
}

// Writes down that the wait has ended, and how: a capital letter for kCancelled.
Task<void> wait_and_tell(FakePollSource& slot, char name, std::string& log) {
  const absl::Status status = co_await poll_source(slot);
  log += status.ok() ? name : static_cast<char>(name - 'a' + 'A');
}

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

TEST_CASE("a source that is ready ends the wait at once") {
  with_source([](Context& context, FakePollSource& slot) {
    slot.full = true;
    std::string log;
    run(context, wait_and_tell(slot, 'a', log));
    CHECK(log == "a");
    CHECK(context.stats().waits == 0);
  });
}

TEST_CASE("a wait goes on until the source is ready") {
  with_source([](Context& context, FakePollSource& slot) {
    std::string log;
    run(context, [](FakePollSource& s, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(s, 'a', l));
      co_await settle();
      l += '-';
      s.full = true;
      CHECK((co_await group.join()).ok());
    }(slot, log));
    CHECK(log == "-a");
  });
}

TEST_CASE("a task that sleeps is woken by the doorbell, again and again") {
  constexpr int kRounds = 20;
  for (const PollPolicy& policy : {PollPolicy(PollOff{}), PollPolicy(PollFixed{20us})}) {
    on_every_context(
        [](Context& context) {
          const UniqueFd doorbell = make_eventfd(0);
          FakePollSource slot(doorbell);
          const ScopedPollSource added(context, slot);
          std::thread partner([&] {
            for (int round = 0; round < kRounds; ++round) {
              while (slot.full) {
                std::this_thread::yield();
              }
              slot.full.store(true, std::memory_order_release);
              eventfd_write(doorbell.get(), 1);
            }
          });
          run(context, [](FakePollSource& s) -> Task<void> {
            for (int round = 0; round < kRounds; ++round) {
              CHECK((co_await poll_source(s)).ok());
              s.full = false;
            }
          }(slot));
          partner.join();
        },
        {.polling = policy});
  }
}

TEST_CASE("while no task waits, a source that is ready is left alone") {
  with_source([](Context& context, FakePollSource& slot) {
    slot.full = true;
    CHECK(!context.poll(false));
    std::string log;
    run(context, wait_and_tell(slot, 'a', log));
    CHECK(log == "a");
  });
}

TEST_CASE("a source that went idle while no task waited is not missed") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        const ScopedPollSource added(context, slot);
        slot.full = true;
        eventfd_write(doorbell.get(), 1);
        for (int i = 0; i < 3; ++i) {
          for (int turn = 0; turn < 1000; ++turn) {
            context.poll(false);
          }
          clock.advance(8s);
        }
        std::string log;
        run(context, wait_and_tell(slot, 'a', log));
        CHECK(log == "a");
      },
      {.clock = &clock});
}

TEST_CASE("a source that stays ready does not keep others from their turn") {
  with_source([](Context& context, FakePollSource& slot) {
    slot.full = true;
    run(context, [](FakePollSource& s) -> Task<void> {
      TaskGroup group(co_await this_task());
      int others_ran = 0;
      group.spawn([](int& ran) -> Task<void> {
        co_await yield();
        ++ran;
      }(others_ran));
      int waits = 0;
      for (; others_ran == 0 && waits < 1000; ++waits) {
        CHECK((co_await poll_source(s)).ok());
      }
      CHECK(others_ran == 1);
      CHECK((co_await group.join()).ok());
    }(slot));
  });
}

// --- cancellation -------------------------------------------------------------------------------

TEST_CASE("a wait of a task that has been cancelled does not begin") {
  with_source([](Context& context, FakePollSource& slot) {
    slot.full = true;
    std::string log;
    run(context, [](FakePollSource& s, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.cancel();
      group.spawn(wait_and_tell(s, 'a', l));
      CHECK((co_await group.join()).ok());
    }(slot, log));
    CHECK(log == "A");
  });
}

TEST_CASE("a wait can be cancelled, and leaves the source to the next") {
  with_source([](Context& context, FakePollSource& slot) {
    std::string log;
    run(context, [](FakePollSource& s, std::string& l) -> Task<void> {
      TaskGroup first(co_await this_task());
      first.spawn(wait_and_tell(s, 'a', l));
      co_await settle();
      first.cancel();
      CHECK((co_await first.join()).ok());
      CHECK(l == "A");
      TaskGroup second(co_await this_task());
      second.spawn(wait_and_tell(s, 'b', l));
      co_await settle();
      s.full = true;
      CHECK((co_await second.join()).ok());
    }(slot, log));
    CHECK(log == "Ab");
  });
}

TEST_CASE("of an event and a cancellation in the same turn one wins, and nothing is lost") {
  with_source([](Context& context, FakePollSource& slot) {
    std::string log;
    run(context, [](FakePollSource& s, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(s, 'a', l));
      co_await settle();
      s.full = true;
      group.cancel();
      CHECK((co_await group.join()).ok());
    }(slot, log));
    CHECK((log == "A" || log == "a"));
    run(context, wait_and_tell(slot, 'b', log));
    CHECK(log.ends_with('b'));
  });
}

TEST_CASE("a cancellation after the end of a wait changes nothing") {
  with_source([](Context& context, FakePollSource& slot) {
    std::string log;
    slot.full = true;
    run(context, [](FakePollSource& s, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(s, 'a', l));
      CHECK((co_await group.join()).ok());
      group.cancel();
    }(slot, log));
    CHECK(log == "a");
  });
}

TEST_CASE("a wait that nobody awaits leaves no trace") {
  with_source([](Context& context, FakePollSource& slot) {
    slot.full = true;
    const AwaitablePollSource::Wait never_awaited = poll_source(slot);
    CHECK(!context.poll(false));
  });
}

TEST_CASE("waiting again and again allocates nothing") {
  with_source([](Context& context, FakePollSource& slot) {
    // Fills the slot when the task has suspended.
    BottomHalf filler(context, [&] { slot.full = true; });
    const std::size_t made =
        run(context, [](FakePollSource& s, BottomHalf& fill) -> Task<std::size_t> {
          std::size_t before = 0;
          for (int i = 0; i < 200; ++i) {
            before = i == 100 ? allocations_so_far() : before;
            s.full = false;
            fill.schedule();
            const absl::Status status = co_await poll_source(s);
            if (!status.ok()) {
              co_return 1;
            }
          }
          co_return allocations_so_far() - before;
        }(slot, filler));
    CHECK(made == 0);
  });
}

// --- misuse -------------------------------------------------------------------------------------

TEST_CASE("a second waiter, a source of another context and a source that ends are refused") {
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          FakePollSource slot;
          const ScopedPollSource added(*context, slot);
          std::string log;
          run(*context, [](FakePollSource& s, std::string& l) -> Task<void> {
            TaskGroup group(co_await this_task());
            group.spawn(wait_and_tell(s, 'a', l));
            group.spawn(wait_and_tell(s, 'b', l));
            CHECK((co_await group.join()).ok());
          }(slot, log));
        }).find("let one of them serve it") != std::string::npos);
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          FakePollSource slot;
          std::string log;
          run(*context, wait_and_tell(slot, 'a', log));
        }).find("add() it before") != std::string::npos);
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          auto slot = std::make_unique<FakePollSource>();
          std::string log;
          run(*context,
              [](Context& c, std::unique_ptr<FakePollSource>& s, std::string& l) -> Task<void> {
                ContextAccess(c).add(*s);
                TaskGroup group(co_await this_task());
                group.spawn(wait_and_tell(*s, 'a', l));
                co_await settle();
                ContextAccess(c).remove(*s);
                s.reset();
              }(*context, slot, log));
        }).find("is removed while a task waits") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
