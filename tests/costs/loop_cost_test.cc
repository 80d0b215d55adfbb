// What the loop itself costs: hops, bottom halves, timers, waits, turns with nothing to do.

#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "backends/backend.h"
#include "coro/readiness.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "tests/costs/measure.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kTimes = 50;

// On every back end.
void check_free(const Work& work) {
  if (!can_measure()) {
    return;
  }
  measure_on_every_back_end({}, work, [](Backend, const Cost& cost) { CHECK(cost == Cost{}); });
}

TEST_CASE("yield costs nothing") {
  check_free([](Context& context, Meter& meter) {
    run(context, [](Meter& m) -> Task<void> {
      co_await yield();
      m.begin();
      for (int i = 0; i < kTimes; ++i) {
        co_await yield();
      }
      m.end();
    }(meter));
  });
}

Task<void> hop(int times) {
  for (int i = 0; i < times; ++i) {
    co_await yield();
  }
}

TEST_CASE("tasks that are spawned, take turns and are joined cost nothing") {
  check_free([](Context& context, Meter& meter) {
    run(context, [](Meter& m) -> Task<void> {
      TaskGroup group(co_await this_task());
      for (const bool measured : {false, true}) {
        if (measured) {
          m.begin();
        }
        group.spawn(hop(kTimes));
        group.spawn(hop(kTimes));
        (co_await group.join()).IgnoreError();
      }
      m.end();
    }(meter));
  });
}

TEST_CASE("a bottom half costs nothing to schedule and to run") {
  check_free([](Context& context, Meter& meter) {
    int ran = 0;
    BottomHalf bottom_half(context, [&] { ++ran; });
    context.poll(false);
    meter.begin();
    for (int i = 0; i < kTimes; ++i) {
      bottom_half.schedule();
      context.poll(false);
    }
    meter.end();
    CHECK(ran == kTimes);
  });
}

TEST_CASE("a sleep that is armed and cancelled costs nothing") {
  check_free([](Context& context, Meter& meter) {
    run(context, [](Meter& m) -> Task<void> {
      for (int i = 0; i <= kTimes; ++i) {
        if (i == 1) {
          m.begin();
        }
        TaskGroup group(co_await this_task());
        group.spawn([]() -> Task<absl::Status> { co_return co_await sleep_for(24h); }());
        co_await yield();
        group.cancel();
        (co_await group.join()).IgnoreError();
      }
      m.end();
    }(meter));
  });
}

TEST_CASE("a turn with nothing to do costs io_uring nothing, and the others one look") {
  if (!can_measure()) {
    return;
  }
  const auto idle = [](Context& context, Meter& meter) {
    context.bind();
    const Pair pipe = make_pipe();
    context.set_fd_handler(pipe.a.get(), {.read = [] {}, .write = {}});
    context.poll(false);
    meter.begin();
    for (int i = 0; i < kTimes; ++i) {
      context.poll(false);
    }
    meter.end();
    context.set_fd_handler(pipe.a.get(), FdHandlers{});
  };
  measure_on_every_back_end({}, idle, [](Backend backend, const Cost& cost) {
    CHECK(cost == Cost{.waits = backend == Backend::kIoUring ? 0 : kTimes});
  });
}

TEST_CASE("waiting for a foreign descriptor costs at most one call besides the wait") {
  if (!can_measure()) {
    return;
  }
  const auto wait = [](Context& context, Meter& meter) {
    const Pair pipe = make_pipe();
    write_all(pipe.b, "x");
    run(context, [](int fd, Meter& m) -> Task<void> {
      (co_await readable(fd)).IgnoreError();
      m.begin();
      for (int i = 0; i < kTimes; ++i) {
        (co_await readable(fd)).IgnoreError();
      }
      m.end();
    }(pipe.a.get(), meter));
  };
  measure_on_every_back_end({}, wait, [](Backend, const Cost& cost) {
    CHECK(cost == Cost{.waits = cost.waits, .changes = cost.changes});
    CHECK(cost.waits <= kTimes);
    CHECK(cost.changes <= kTimes);
  });
}

}  // namespace
}  // namespace coaio::testing
