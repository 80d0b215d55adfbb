#include "coro/io/signals.h"

#include <unistd.h>

#include <csignal>
#include <initializer_list>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

Signals open_signals(Context& context, std::initializer_list<int> numbers) {
  absl::StatusOr<Signals> signals = Signals::open(context, numbers);
  REQUIRE_MESSAGE(signals.ok(), signals.status().ToString());
  return *std::move(signals);
}

bool is_blocked(int number) {
  sigset_t mask;
  REQUIRE(pthread_sigmask(SIG_BLOCK, nullptr, &mask) == 0);
  return sigismember(&mask, number) == 1;
}

Task<void> take(Signals& signals, absl::StatusOr<int>& result) { result = co_await signals.next(); }

TEST_CASE("a signal that waits already, and one that comes later, are taken") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGUSR1, SIGUSR2});
      raise(SIGUSR1);
      CHECK((co_await signals.next()).value_or(0) == SIGUSR1);
      for (const int number : {SIGUSR2, SIGUSR1, SIGUSR2}) {
        TaskGroup group(co_await this_task());
        absl::StatusOr<int> taken = 0;
        group.spawn(take(signals, taken));
        co_await settle();
        CHECK(taken.value_or(-1) == 0);
        kill(getpid(), number);
        CHECK((co_await group.join()).ok());
        CHECK(taken.value_or(0) == number);
      }
    }(context));
  });
}

TEST_CASE("signals of one number that come before the first is taken are one") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGUSR1, SIGUSR2});
      raise(SIGUSR1);
      raise(SIGUSR1);
      raise(SIGUSR2);
      CHECK((co_await signals.next()).value_or(0) == SIGUSR1);
      CHECK((co_await signals.next()).value_or(0) == SIGUSR2);
    }(context));
  });
}

TEST_CASE("waiting for a signal can be cancelled, before it begins and while it waits") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGUSR1});
      for (const bool before : {true, false}) {
        TaskGroup group(co_await this_task());
        absl::StatusOr<int> taken = 0;
        if (before) {
          group.cancel();
        }
        group.spawn(take(signals, taken));
        co_await settle();
        group.cancel();
        CHECK((co_await group.join()).ok());
        CHECK(absl::IsCancelled(taken.status()));
      }
      raise(SIGUSR1);
      CHECK((co_await signals.next()).value_or(0) == SIGUSR1);
    }(context));
  });
}

TEST_CASE(
    "the mask of the thread is afterwards what it was before, wherever the object was moved") {
  const auto context = make_context();
  sigset_t usr2;
  sigemptyset(&usr2);
  sigaddset(&usr2, SIGUSR2);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &usr2, nullptr) == 0);
  {
    Signals signals = open_signals(*context, {SIGUSR1, SIGUSR2});
    CHECK(is_blocked(SIGUSR1));
    {
      const Signals moved = std::move(signals);
      CHECK(is_blocked(SIGUSR1));
    }
    CHECK(!is_blocked(SIGUSR1));
  }
  CHECK(!is_blocked(SIGUSR1));
  CHECK(is_blocked(SIGUSR2));  // it was before
  REQUIRE(pthread_sigmask(SIG_UNBLOCK, &usr2, nullptr) == 0);
}

TEST_CASE("a second signal that nobody takes does not kill the process at the end") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGTERM});
      raise(SIGTERM);
      CHECK((co_await signals.next()).value_or(0) == SIGTERM);
      raise(SIGTERM);
    }(context));
    CHECK(!is_blocked(SIGTERM));
  });
}

TEST_CASE("a number that is no signal is an error that names it") {
  const auto context = make_context();
  const absl::Status status = Signals::open(*context, {1000}).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(status.message().find("1000") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
