// Wake-ups between threads, as many as there is patience for. A lost one leaves a loop asleep, and
// ends the process by TestTimeout.
//
//   bazel test //tests/runtime:wake_stress_test                      bounded
//   bazel test -c opt --test_tag_filters= --test_output=all //tests/runtime:long_wake_stress_test
//   10^8 wakes

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

constexpr int kWakers = 3;

// How many wakes for each back end and policy, from the environment: doctest owns the command line.
std::uint64_t wakes() {
  const char* asked = std::getenv("COAIO_STRESS_WAKES");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : kSanitized ? 3'000 : 60'000;
}

// Each waker counts up, wakes the loop by one of the ways there are, and now and then waits until
// it has been heard, so that the loop gets to sleep.
struct Waker {
  explicit Waker(Context& c) : context(c), half(c, [this] { hear(); }) {}

  void hear() { heard.store(sent.load(std::memory_order_relaxed)); }

  // A bottom half that stays queued is no wake-up, so a notification comes along with it at times.
  void wake_once(std::uint64_t number) {
    if (number % 16 == 8) {
      context.post([this] { hear(); });
      return;
    }
    half.schedule();
    if (number % 16 == 4) {
      context.notify();
    }
  }

  void wake(std::uint64_t times) {
    for (std::uint64_t i = 1; i <= times; ++i) {
      sent.store(i, std::memory_order_relaxed);
      wake_once(i);
      if (i % 8 == 0) {
        while (heard.load() < i) {
          std::this_thread::yield();
        }
      }
    }
    while (heard.load() < times) {
      std::this_thread::yield();
    }
  }

  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> heard{0};
  Context& context;
  BottomHalf half;
};

// Returns the figures of the loop.
ContextStats stress(const ContextOptions& options, std::uint64_t times) {
  const std::unique_ptr<Context> context = make_context(options);
  std::vector<std::unique_ptr<Waker>> wakers;
  for (int i = 0; i < kWakers; ++i) {
    wakers.push_back(std::make_unique<Waker>(*context));
  }
  context->bind();
  std::atomic<int> running{kWakers};
  std::vector<std::thread> threads;
  for (const auto& waker : wakers) {
    threads.emplace_back([&, &waker = *waker] {
      waker.wake(times / kWakers);
      if (--running == 0) {
        context->stop();
      }
    });
  }
  context->run();
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const auto& waker : wakers) {
    CHECK(waker->heard.load() == times / kWakers);
  }
  return context->stats();
}

TEST_CASE("no wake-up is lost, whether the loop sleeps, polls, or does both in turn") {
  const std::uint64_t times = wakes();
  for (const Backend backend : available_back_ends()) {
    for (const PollPolicy& polling : {PollPolicy(PollOff{}), PollPolicy(PollGrowShrink{}),
                                      PollPolicy(PollFixed{std::chrono::microseconds(3)})}) {
      const TestTimeout patience(static_cast<unsigned>(50 + times / 10'000));
      const auto begin = std::chrono::steady_clock::now();
      const ContextStats stats = stress({.backend = backend, .polling = polling}, times);
      CHECK(stats.wakeups != 0);
      if (std::holds_alternative<PollOff>(polling)) {
        CHECK(stats.waits != 0);
      }
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
      MESSAGE("back end ", static_cast<int>(backend), ", policy ", polling.index(), ": ", times,
              " wakes in ", taken.count(), " s, ", stats.wakeups, " of them found, ", stats.waits,
              " sleeps");
    }
  }
}

}  // namespace
}  // namespace coaio::testing
