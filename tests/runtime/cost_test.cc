// Exact costs of the loop, in system calls and heap allocations. Times are for bench/loop.

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "backends/backend.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

constexpr int kTimes = 100;

// --- heap allocations ---------------------------------------------------------------------------

using Work = std::function<void()>;

// Checks what the work allocates once it has been done before. It owns what it uses of the context.
void check_allocates_nothing(const std::function<Work(Context&)>& prepare) {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const Work work = prepare(context);
        for (int i = 0; i < kTimes; ++i) {
          work();
        }
        const std::size_t before = allocations_so_far();
        for (int i = 0; i < kTimes; ++i) {
          work();
        }
        const std::size_t made = allocations_so_far() - before;
        CHECK(made == 0);
      },
      {.clock = &clock});
}

TEST_CASE("scheduling and running bottom halves allocates nothing, from home and from elsewhere") {
  check_allocates_nothing([](Context& context) -> Work {
    return [&context, half = std::make_shared<BottomHalf>(context, [] {})] {
      half->schedule();
      context.poll(false);
      half->schedule_from_signal();
      context.poll(false);
      half->schedule();
      half->cancel();
    };
  });
}

TEST_CASE("arming, re-arming, cancelling and firing timers allocates nothing once there is room") {
  check_allocates_nothing([](Context& context) -> Work {
    context.reserve_timers(1000);
    return [&context, timer = std::make_shared<Timer>(context, [] {})] {
      timer->arm_after(1s);
      timer->arm_after(2s);
      timer->cancel();
      timer->arm_after(0ns);
      context.poll(false);
    };
  });
}

TEST_CASE("hearing of a descriptor allocates nothing") {
  check_allocates_nothing([](Context& context) -> Work {
    const auto pair = std::make_shared<Pair>(make_pipe());
    context.set_fd_handler(pair->a.get(), {.read =
                                               [pair] {
                                                 char byte = 0;
                                                 CHECK(read(pair->a.get(), &byte, 1) == 1);
                                               },
                                           .write = nullptr});
    return [&context, pair] {
      CHECK(write(pair->b.get(), "x", 1) == 1);
      context.poll(true);
    };
  });
}

// Else a program that holds externals back for long would grow with each event.
TEST_CASE("events of a descriptor whose external handler is held back allocate nothing") {
  struct Waiter : FdWaiter {
    Waiter() : FdWaiter([](FdWaiter&, Events) {}) {}
  };
  check_allocates_nothing([](Context& context) -> Work {
    context.bind();
    const auto event = std::make_shared<UniqueFd>(make_eventfd(0));
    context.set_fd_handler(event->get(), {.read = [] {}, .write = nullptr, .external = true});
    context.disable_external();
    return [&context, event, waiter = std::make_shared<Waiter>()] {
      CHECK(eventfd_write(event->get(), 1) == 0);
      ContextAccess(context).fds().wait(event->get(), *waiter, Events::kIn);
      while (waiter->waiting()) {
        context.poll(true);
      }
      eventfd_t count = 0;
      CHECK(eventfd_read(event->get(), &count) == 0);
    };
  });
}

// --- system calls -------------------------------------------------------------------------------

struct Calls {
  int waits = 0;  // ppoll, epoll_wait, epoll_pwait2, io_uring_enter
  int others = 0;
};

Calls calls_of(const std::map<long, int>& counts) {
  Calls calls;
  for (const auto& [number, count] : counts) {
    const bool wait = number == SYS_ppoll || number == SYS_epoll_wait ||
                      number == SYS_epoll_pwait || number == SYS_epoll_pwait2 ||
                      number == SYS_io_uring_enter;
    (wait ? calls.waits : calls.others) += count;
  }
  return calls;
}

// The work gets a context of this back end in a process of its own.
Calls count_calls(Backend backend, const std::function<void(Context&, CallCounter&)>& work,
                  ContextOptions options = {}) {
  options.backend = backend;
  return calls_of(count_system_calls([&](CallCounter& counter) {
    const std::unique_ptr<Context> context = std::move(*Context::create(options));
    context->bind();
    for (int i = 0; i < 3; ++i) {
      context->poll(false);  // the first one makes ready what is made ready once
    }
    work(*context, counter);
  }));
}

bool can_count() {
  if (kSanitized) {
    report_skipped("a sanitizer makes system calls of its own");
  } else if (!tracing_works()) {
    report_skipped("a sandbox or a debugger forbids ptrace: no cost is checked");
  } else {
    return true;
  }
  return false;
}

TEST_CASE("bottom halves and timers cost no system call on any back end") {
  if (!can_count()) {
    return;
  }
  for (const Backend backend : available_back_ends()) {
    const Calls calls = count_calls(backend, [](Context& context, CallCounter& counter) {
      BottomHalf half(context, [] {});
      Timer timer(context, [] {});
      timer.arm_after(1h);
      context.poll(false);
      counter.begin();
      for (int i = 0; i < kTimes; ++i) {
        half.schedule();
        context.poll(true);
        timer.arm_after(2h);
        timer.cancel();
        timer.arm_after(0ns);
        context.poll(true);
      }
      counter.end();
    });
    CHECK(calls.waits == 0);
    CHECK(calls.others == 0);
  }
}

TEST_CASE("a turn without anything to do makes no call on io_uring, and the one look elsewhere") {
  if (!can_count()) {
    return;
  }
  for (const Backend backend : available_back_ends()) {
    const Calls calls = count_calls(backend, [](Context& context, CallCounter& counter) {
      const Pair pair = make_pipe();
      context.set_fd_handler(pair.a.get(), {.read = [] {}, .write = nullptr});
      context.poll(false);
      context.poll(false);
      counter.begin();
      for (int i = 0; i < kTimes; ++i) {
        context.poll(false);
      }
      counter.end();
      context.set_fd_handler(pair.a.get(), {});
    });
    CHECK(calls.waits == (backend == Backend::kIoUring ? 0 : kTimes));
    CHECK(calls.others == 0);
  }
}

// A loop that accepts `kTimes` wake-ups, one after the other, and the thread that sends them.
struct WakeScene {
  explicit WakeScene(Context& c) : context(c), half(c, [this] { heard.fetch_add(1); }) {}

  void send() {
    for (int i = 0; i < kTimes; ++i) {
      while (heard.load() < i) {
      }
      half.schedule();
    }
  }
  void hear() {
    context.bind();
    polling.store(true);
    while (heard.load() < kTimes) {
      context.poll(true);
    }
  }

  Context& context;
  std::atomic<int> heard{0};
  std::atomic<bool> polling{false};
  BottomHalf half;
};

ContextOptions polls_always() {
  return {.polling = PollFixed{.max = 25s}, .polling_gives_way = false};
}

// Only the main thread of the child is counted, so each of the two is the main thread once.
TEST_CASE("a wake-up of a loop that polls costs the loop no system call") {
  if (!can_count()) {
    return;
  }
  for (const Backend backend : available_back_ends()) {
    const Calls calls = count_calls(
        backend,
        [](Context& context, CallCounter& counter) {
          WakeScene scene(context);
          std::thread waker([&] { scene.send(); });
          counter.begin();
          scene.hear();
          counter.end();
          waker.join();
        },
        polls_always());
    CHECK(calls.waits == 0);
    CHECK(calls.others == 0);
  }
}

TEST_CASE("a wake-up of a loop that polls costs the waker no system call") {
  if (!can_count()) {
    return;
  }
  for (const Backend backend : available_back_ends()) {
    ContextOptions options = polls_always();
    options.backend = backend;
    const Calls calls = calls_of(count_system_calls([&](CallCounter& counter) {
      const std::unique_ptr<Context> context = *Context::create(options);
      WakeScene scene(*context);
      std::thread loop([&] { scene.hear(); });
      while (!scene.polling.load()) {
      }
      counter.begin();
      scene.send();
      counter.end();
      loop.join();
    }));
    CHECK(calls.waits == 0);
    CHECK(calls.others == 0);
  }
}

TEST_CASE("a loop that polls with a descriptor to watch makes no call on io_uring") {
  if (!can_count()) {
    return;
  }
  if (!select_monitor(Backend::kIoUring).ok()) {
    return report_skipped(std::string(select_monitor(Backend::kIoUring).status().message()));
  }
  const Calls calls = count_calls(
      Backend::kIoUring,
      [](Context& context, CallCounter& counter) {
        const Pair pair = make_pipe();
        context.set_fd_handler(pair.a.get(), {.read = [] {}, .write = nullptr});
        context.poll(false);
        counter.begin();
        Timer timer(context, [] {});
        timer.arm_after(200us);
        while (timer.pending()) {
          context.poll(true);
        }
        counter.end();
        context.set_fd_handler(pair.a.get(), {});
      },
      polls_always());
  CHECK(calls.waits <= 1);   // when the polling has come to the deadline
  CHECK(calls.others == 1);  // the array of timers
}

}  // namespace
}  // namespace coaio::testing
