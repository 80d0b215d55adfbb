// Turns inside turns, from whatever the loop calls, and changes from there.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/timer.h"
#include "runtime/trace.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// Calls the work from a callback of each kind, with a name for the report of a failure.
void in_every_callback(Context& context, const std::function<void()>& work) {
  int called = 0;
  const auto once = [&](const char* kind) {
    CAPTURE(kind);
    ++called;
    work();
  };
  BottomHalf half(context, [&] { once("bottom half"); });
  half.schedule();
  context.poll(true);

  const Pair pipe = make_pipe();
  context.set_fd_handler(pipe.a.get(), {.read =
                                            [&] {
                                              read_all(pipe.a);
                                              once("handler");
                                            },
                                        .write = nullptr});
  write_all(pipe.b, "x");
  context.poll(true);
  context.set_fd_handler(pipe.a.get(), {});

  FakePollSource slot;
  slot.full = true;
  slot.at_ready = [&] {
    slot.full = false;
    once("poll source");
  };
  const ScopedPollSource added(context, slot);
  context.poll(true);

  Timer timer(context, [&] { once("timer"); });
  timer.arm_after(0ns);
  context.poll(true);
  CHECK(called == 4);
}

TEST_CASE("handlers are set, replaced and removed from callbacks of every kind") {
  on_every_context([](Context& context) {
    in_every_callback(context, [&] {
      const Pair pipe = make_pipe();
      std::string log;
      const int fd = pipe.a.get();
      write_all(pipe.b, "x");
      context.set_fd_handler(fd, {.read = [&] { log += '1'; }, .write = nullptr});
      context.poll(true);
      context.set_fd_handler(fd, {.read = [&] { log += '2'; }, .write = nullptr});
      context.poll(true);
      context.set_fd_handler(fd, {});
      context.poll(false);
      CHECK(log == "12");
    });
  });
}

// Each callback nests a turn that calls the next one, fifty rounds deep.
TEST_CASE("turns nest to any depth through callbacks of all kinds in turn") {
  on_every_context([](Context& context) {
    constexpr int kDepth = 200;
    int depth = 0;
    std::function<void()> go_deeper;
    // On the stack of those that are called, so that each is its own.
    const auto by_bottom_half = [&] {
      BottomHalf half(context, [&] { go_deeper(); });
      half.schedule();
      context.poll(true);
    };
    const auto by_timer = [&] {
      Timer timer(context, [&] { go_deeper(); });
      timer.arm_after(0ns);
      context.poll(true);
    };
    const auto by_source = [&] {
      FakePollSource slot;
      slot.full = true;
      slot.at_ready = [&] {
        slot.full = false;
        go_deeper();
      };
      const ScopedPollSource added(context, slot);
      context.poll(true);
    };
    const auto by_handler = [&] {
      const Pair pipe = make_pipe();
      write_all(pipe.b, "x");
      bool called = false;
      context.set_fd_handler(pipe.a.get(), {.read =
                                                [&] {
                                                  read_all(pipe.a);
                                                  called = true;
                                                  go_deeper();
                                                },
                                            .write = nullptr});
      while (!called) {
        context.poll(true);
      }
      context.set_fd_handler(pipe.a.get(), {});
    };
    const std::function<void()> ways[] = {by_bottom_half, by_timer, by_source, by_handler};
    go_deeper = [&] {
      if (depth < kDepth) {
        ways[depth++ % 4]();
      }
    };
    go_deeper();
    CHECK(depth == kDepth);
    CHECK(!context.poll(false));
  });
}

TEST_CASE("a nested turn announces a sleep of its own, and so does the outer one after it") {
  on_every_context([](Context& context) {
    int slept = 0;
    context.set_trace([&](const TraceEvent& event) {
      if (event.kind == TraceEvent::Kind::kWait) {
        ++slept;
        context.notify();  // as from elsewhere, in the moment in which the loop would sleep
      }
    });
    BottomHalf half(context, [&] {
      CHECK(!context.poll(true));
      CHECK(!context.poll(true));
    });
    half.schedule();
    CHECK(context.poll(true));
    CHECK(slept == 2);
    CHECK(!context.poll(true));
    CHECK(slept == 3);
    context.set_trace(nullptr);
  });
}

// A task spends its coop budget on work that completes without suspending. The loop refills it for
// each task that it resumes, also in a turn that another task nests.
TEST_CASE("a nested turn does not refill the coop budget of the task that nests it") {
  on_every_context([](Context& context) {
    const ContextAccess access(context);
    bool nested = false;
    BottomHalf inner(context, [&] {
      ContextAccess(access).refill_budget();
      nested = true;
    });
    const auto budget_after = [&](const std::function<void()>& nest) {
      ContextAccess(access).refill_budget();
      int whole = 0;
      while (ContextAccess(access).consume_budget()) {
        ++whole;
      }
      ContextAccess(access).refill_budget();
      CHECK(ContextAccess(access).consume_budget());
      nested = false;
      inner.schedule();
      nest();
      CHECK(nested);
      int left = 1;
      while (ContextAccess(access).consume_budget()) {
        ++left;
      }
      CHECK(left == whole);
    };
    BottomHalf outer(context, [&] {
      budget_after([&] { context.poll(false); });
      budget_after([&] { context.run_until(nested); });
    });
    outer.schedule();
    context.poll(true);
  });
}

}  // namespace
}  // namespace coaio::testing
