#include "coro/io/signals.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
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
#include "tests/support/abort_message.h"
#include "tests/support/child.h"
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

// doctest handles SIGTERM, one of the signals of these tests.
const auto kDefault = reinterpret_cast<std::uintptr_t>(SIG_DFL);
const auto kIgnored = reinterpret_cast<std::uintptr_t>(SIG_IGN);

std::uintptr_t handler_of(int number) {
  struct sigaction action = {};
  REQUIRE(sigaction(number, nullptr, &action) == 0);
  return reinterpret_cast<std::uintptr_t>(action.sa_handler);
}

void block(int how, int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  REQUIRE(pthread_sigmask(how, &set, nullptr) == 0);
}

TEST_CASE(
    "the mask of the thread is afterwards what it was before, wherever the object was moved") {
  const auto context = make_context();
  block(SIG_BLOCK, SIGUSR2);
  {
    Signals signals = open_signals(*context, {SIGUSR1, SIGUSR2});
    CHECK(!is_blocked(SIGUSR2));
    {
      const Signals moved = std::move(signals);
      CHECK(handler_of(SIGUSR1) != kDefault);
    }
    CHECK(handler_of(SIGUSR1) == kDefault);
    CHECK(is_blocked(SIGUSR2));
  }
  CHECK(!is_blocked(SIGUSR1));
  CHECK(is_blocked(SIGUSR2));  // it was before
  block(SIG_UNBLOCK, SIGUSR2);
}

TEST_CASE("a second signal that nobody takes does not kill the process at the end") {
  on_every_context([](Context& context) {
    const std::uintptr_t before = handler_of(SIGTERM);
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGTERM});
      raise(SIGTERM);
      CHECK((co_await signals.next()).value_or(0) == SIGTERM);
      raise(SIGTERM);
    }(context));
    CHECK(!is_blocked(SIGTERM));
    CHECK(handler_of(SIGTERM) == before);
  });
}

TEST_CASE("a signal that came while it was blocked, before the object was there, is heard") {
  on_every_context([](Context& context) {
    block(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1);
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGUSR1});
      CHECK((co_await signals.next()).value_or(0) == SIGUSR1);
    }(context));
    CHECK(is_blocked(SIGUSR1));
    block(SIG_UNBLOCK, SIGUSR1);
  });
}

// --- several objects ----------------------------------------------------------------------------

TEST_CASE("two objects for one signal both hear it, once") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Signals first = open_signals(c, {SIGTERM});
      Signals second = open_signals(c, {SIGTERM, SIGUSR1});
      kill(getpid(), SIGTERM);
      CHECK((co_await first.next()).value_or(0) == SIGTERM);
      CHECK((co_await second.next()).value_or(0) == SIGTERM);
      kill(getpid(), SIGUSR1);
      CHECK((co_await second.next()).value_or(0) == SIGUSR1);
      TaskGroup group(co_await this_task());
      absl::StatusOr<int> again = 0;
      group.spawn(take(first, again));
      co_await settle();
      group.cancel();
      CHECK((co_await group.join()).ok());
      CHECK(absl::IsCancelled(again.status()));
    }(context));
  });
}

TEST_CASE("when one of two objects ends, the other one goes on, and no signal kills or is lost") {
  on_every_context([](Context& context) {
    const std::uintptr_t before = handler_of(SIGTERM);
    for (const bool older_ends : {true, false}) {
      block(SIG_BLOCK, SIGTERM);  // the second object must not block it again
      run(context, [](Context& c, bool older) -> Task<void> {
        std::optional<Signals> first = open_signals(c, {SIGTERM});
        std::optional<Signals> second = open_signals(c, {SIGTERM});
        Signals& left = older ? *second : *first;
        kill(getpid(), SIGTERM);  // pending for both
        (older ? first : second).reset();
        CHECK((co_await left.next()).value_or(0) == SIGTERM);
        kill(getpid(), SIGTERM);
        CHECK((co_await left.next()).value_or(0) == SIGTERM);
      }(context, older_ends));
      CHECK(handler_of(SIGTERM) == before);
      CHECK(is_blocked(SIGTERM));
      block(SIG_UNBLOCK, SIGTERM);
    }
  });
}

TEST_CASE("two contexts that wait for one signal both hear it once") {
  on_every_context([](Context& context) {
    const std::uintptr_t before = handler_of(SIGTERM);
    std::binary_semaphore open(0);
    absl::StatusOr<int> other_heard = 0;
    std::thread other([&] {
      const auto own = make_context();
      other_heard =
          run(*own, [](Context& c, std::binary_semaphore& o) -> Task<absl::StatusOr<int>> {
            Signals signals = open_signals(c, {SIGTERM});
            o.release();
            co_return co_await signals.next();
          }(*own, open));
    });
    run(context, [](Context& c, std::binary_semaphore& o) -> Task<void> {
      Signals signals = open_signals(c, {SIGTERM});
      o.acquire();
      kill(getpid(), SIGTERM);
      CHECK((co_await signals.next()).value_or(0) == SIGTERM);
    }(context, open));
    other.join();
    CHECK(other_heard.value_or(0) == SIGTERM);
    CHECK(handler_of(SIGTERM) == before);
  });
}

TEST_CASE("objects that end while signals keep coming leave nothing behind") {
  const auto context = make_context();
  const Signals always = open_signals(*context, {SIGUSR1});
  std::atomic<bool> done{false};
  std::thread sender([&] {
    while (!done.load(std::memory_order_relaxed)) {
      kill(getpid(), SIGUSR1);
    }
  });
  for (int i = 0; i < 200; ++i) {
    const Signals shortly = open_signals(*context, {SIGUSR1});
  }
  done.store(true, std::memory_order_relaxed);
  sender.join();
}

TEST_CASE("an action that the program has installed meanwhile stays") {
  const auto context = make_context();
  {
    const Signals signals = open_signals(*context, {SIGUSR1});
    std::signal(SIGUSR1, SIG_IGN);
  }
  CHECK(handler_of(SIGUSR1) == kIgnored);
  {
    const Signals signals = open_signals(*context, {SIGUSR1});
    CHECK(handler_of(SIGUSR1) != kIgnored);
  }
  CHECK(handler_of(SIGUSR1) == kIgnored);
  std::signal(SIGUSR1, SIG_DFL);
}

// --- children -----------------------------------------------------------------------------------

// The signal that has ended a child, or 0.
int signal_that_ended(pid_t child) {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_CASE(
    "a program that is started beside Signals is ended by them, and begins with an empty mask") {
  const auto context = make_context();
  Signals signals = open_signals(*context, {SIGTERM, SIGUSR1});
  for (const bool by_fork : {true, false}) {
    std::string shell = "sh";
    std::string option = "-c";
    // It exits with 1 where a signal is blocked.
    std::string script =
        "grep -q '^SigBlk:.0000000000000000$' /proc/self/status || exit 1; kill -TERM $$; exit 2";
    char* const arguments[] = {shell.data(), option.data(), script.data(), nullptr};
    pid_t child = 0;
    if (by_fork) {
      child = fork();
      if (child == 0) {
        execv("/bin/sh", arguments);
        _exit(3);
      }
    } else {
      REQUIRE(posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments, environ) == 0);
    }
    CHECK(signal_that_ended(child) == SIGTERM);
  }
}

TEST_CASE("a signal to a forked child has the effect from before, and is not heard by the parent") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGUSR2});
      const pid_t child = fork();
      if (child == 0) {
        raise(SIGUSR2);
        _exit(3);
      }
      CHECK(signal_that_ended(child) == SIGUSR2);
      TaskGroup group(co_await this_task());
      absl::StatusOr<int> taken = 0;
      group.spawn(take(signals, taken));
      co_await settle();
      CHECK(taken.value_or(-1) == 0);
      raise(SIGUSR2);
      CHECK((co_await group.join()).ok());
      CHECK(taken.value_or(0) == SIGUSR2);
    }(context));
  });
}

TEST_CASE(
    "a forked child may hear signals with a context of its own, and drop those of its parent") {
  auto context = make_context();
  std::optional<Signals> signals = open_signals(*context, {SIGUSR2, SIGUSR1});
  CHECK(run_in_child([&]() -> std::string {
          const auto own = make_context();
          std::optional<Signals> mine = open_signals(*own, {SIGUSR2});
          signals.reset();
          context.reset();
          if (handler_of(SIGUSR1) != kDefault) {
            return "the parent's handler is left";
          }
          raise(SIGUSR2);
          const int heard = run(*own, mine->next()).value_or(0);
          mine.reset();
          return heard == SIGUSR2 && handler_of(SIGUSR2) == kDefault ? "" : "not heard";
        }) == "");
}

// --- what cannot be heard -----------------------------------------------------------------------

TEST_CASE("a number that is no signal is an error that names it") {
  const auto context = make_context();
  for (const int number : {1000, 0, -1, 32, 65}) {
    const absl::Status status = Signals::open(*context, {SIGUSR1, number}).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message().find("signal " + std::to_string(number)) != std::string::npos);
  }
  CHECK(handler_of(SIGUSR1) == kDefault);
}

TEST_CASE("signals that never come, and those of a fault, are refused by name") {
  const auto context = make_context();
  const std::pair<int, const char*> refused[] = {
      {SIGKILL, "SIGKILL"}, {SIGSTOP, "SIGSTOP"}, {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},
      {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"}, {SIGSYS, "SIGSYS"}};
  for (const auto& [number, name] : refused) {
    const absl::Status status = Signals::open(*context, {number}).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(status.message().find(name) != std::string::npos);
  }
}

TEST_CASE("two tasks that wait for the next signal of one object end the process with a sentence") {
  const std::string words = abort_message([] {
    const auto context = make_context();
    run(*context, [](Context& c) -> Task<void> {
      Signals signals = open_signals(c, {SIGUSR1});
      TaskGroup group(co_await this_task());
      absl::StatusOr<int> taken = 0;
      group.spawn(take(signals, taken));
      group.spawn(take(signals, taken));
      (co_await group.join()).IgnoreError();
    }(*context));
  });
  CHECK(words.find("at the same time: let one task do it") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
