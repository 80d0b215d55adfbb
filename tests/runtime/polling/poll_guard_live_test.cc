// The guard against polling that hurts, with a real kernel around it.

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/timer.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// The calling thread may run there only. What it starts inherits that.
bool stay_on_this_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(sched_getcpu(), &cpus);
  return sched_setaffinity(0, sizeof cpus, &cpus) == 0;
}

// Answers each byte with one, on the loop's CPU. As a batch thread, it does not take the CPU from
// the loop when the loop's message wakes it: it waits until the loop sleeps.
void answer(const Pair& pair, const std::atomic<bool>& done) {
  const sched_param no_priority{};
  pthread_setschedparam(pthread_self(), SCHED_BATCH, &no_priority);
  while (!done.load()) {
    if (!read_all(pair.b).empty()) {
      write_all(pair.b, "x");
    }
    std::this_thread::yield();
  }
}

TEST_CASE("a loop whose partner has only the loop's CPU stops polling, and they talk on") {
  const auto talk = [](Context& context) {
    const Pair pair = make_unix_pair();
    std::atomic<bool> done{false};
    std::thread partner([&] { answer(pair, done); });
    bool paused = false;
    context.set_fd_handler(pair.a.get(), {.read =
                                              [&] {
                                                read_all(pair.a);
                                                write_all(pair.a, "x");
                                                paused = context.stats().guard.shared_cpu != 0;
                                              },
                                          .write = nullptr});
    write_all(pair.a, "x");
    context.run_until(paused);
    context.set_fd_handler(pair.a.get(), {});
    done.store(true);
    partner.join();
  };
  // A thread of its own, since it stays on its CPU.
  std::thread([&] {
    if (!stay_on_this_cpu()) {
      return report_skipped("a sandbox forbids to choose the CPU of a thread");
    }
    for (const Backend backend : available_back_ends()) {
      const TestTimeout patience;
      talk(**Context::create({.backend = backend, .polling = PollFixed{.max = 100us}}));
    }
  }).join();
}

TEST_CASE("a loop with one CPU and nothing but timers goes on to poll before them") {
  std::thread([&] {
    if (!stay_on_this_cpu()) {
      return report_skipped("a sandbox forbids to choose the CPU of a thread");
    }
    on_every_context(
        [](Context& context) {
          for (int i = 0; i < 100; ++i) {
            Timer timer(context, [] {});
            timer.arm_after(150us);
            while (timer.pending()) {
              context.poll(true);
            }
          }
          CHECK(context.stats().guard.shared_cpu == 0);
        },
        {.polling = PollFixed{.max = 100us}});
  }).join();
}

}  // namespace
}  // namespace coaio::testing
