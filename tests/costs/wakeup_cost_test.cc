// What it costs to wake a loop from another thread while it looks for work in user space.

#include <atomic>
#include <chrono>
#include <thread>

#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "tests/costs/measure.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kTimes = 50;

// The loop is never allowed to sleep within the time of the test.
const ContextOptions kPolling{.polling = PollFixed{20s}, .polling_gives_way = false};

TEST_CASE("a thread that wakes a polling loop makes no system call") {
  if (!can_measure()) {
    return;
  }
  // The traced thread is the waker.
  const auto wake = [](Context& context, Meter& meter) {
    std::atomic<int> ran = 0;
    BottomHalf bottom_half(context, [&] { ++ran; });
    std::thread loop([&] { context.run(); });
    const auto call = [&](int count) {
      bottom_half.schedule();
      while (ran != count) {
      }
    };
    call(1);
    meter.begin();
    for (int i = 0; i < kTimes; ++i) {
      call(2 + i);
    }
    meter.end();
    context.stop();
    loop.join();
  };
  measure_on_every_back_end(kPolling, wake,
                            [](Backend, const Cost& cost) { CHECK(cost == Cost{}); });
}

TEST_CASE(
    "a polling loop that is woken by a thread makes no system call on io_uring, and only its "
    "probes elsewhere") {
  if (!can_measure()) {
    return;
  }
  // The traced thread is the loop, and it watches a descriptor besides.
  const auto be_woken = [](Context& context, Meter& meter) {
    context.bind();
    const Pair pipe = make_pipe();
    context.set_fd_handler(pipe.a.get(), {.read = [] {}, .write = {}});
    int ran = 0;
    BottomHalf bottom_half(context, [&] { ++ran; });
    context.poll(false);
    std::atomic<int> asked = 0;
    std::thread waker([&] {
      for (int count = 1; count <= kTimes; ++count) {
        while (asked < count) {
        }
        bottom_half.schedule();
      }
    });
    meter.begin();
    for (int count = 1; count <= kTimes; ++count) {
      asked = count;
      while (ran < count) {
        context.poll(true);
      }
    }
    meter.end();
    waker.join();
    context.set_fd_handler(pipe.a.get(), FdHandlers{});
  };
  measure_on_every_back_end(kPolling, be_woken, [](Backend backend, const Cost& cost) {
    CHECK(cost == Cost{.waits = backend == Backend::kIoUring ? 0 : cost.waits});
  });
}

}  // namespace
}  // namespace coaio::testing
