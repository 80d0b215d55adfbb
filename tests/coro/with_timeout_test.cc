#include "coro/with_timeout.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coro/cancel.h"
#include "coro/or_return.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

// A task in a group of its own, on a clock that only the test moves.
struct Scene {
  Scene(Context& c, ManualClock& m) : context(c), clock(m), source(c), group({c, source.token()}) {}

  void settle() {
    while (context.poll(false)) {
    }
  }
  void spawn(Task<void> task) {
    group.spawn(std::move(task));
    settle();
  }
  void advance(std::chrono::nanoseconds by) {
    clock.advance(by);
    settle();
  }
  void join() {
    CHECK(
        run(context, [](TaskGroup& g) -> Task<absl::Status> { co_return co_await g.join(); }(group))
            .ok());
  }

  Context& context;
  ManualClock& clock;
  CancelSource source;
  TaskGroup group;
  std::string log;
};

void on_every_scene(const std::function<void(Scene&)>& clause) {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        Scene scene(context, clock);
        clause(scene);
        scene.join();
      },
      {.clock = &clock});
}

// "o", "c" or "d"; upper case: with a message.
char letter(const absl::Status& status) {
  const char plain = status.ok()                        ? 'o'
                     : absl::IsCancelled(status)        ? 'c'
                     : absl::IsDeadlineExceeded(status) ? 'd'
                                                        : '?';
  return status.message().empty() ? plain : static_cast<char>(plain - 'a' + 'A');
}

Task<absl::Status> naps(Duration delay) { co_return co_await sleep_for(delay); }
Task<absl::Status> naps_thrice(Duration delay, std::string& log) {
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = co_await sleep_for(delay);
    log += letter(status);
  }
  co_return co_await sleep_for(delay);
}

// Awaits a sleep, plain or in a task, with a timeout; then sleeps without.
Task<void> waits(std::string& log, Duration timeout, Duration delay, bool in_task) {
  if (in_task) {
    const absl::Status status = co_await with_timeout(timeout, naps(delay));
    log += letter(status);
  } else {
    const absl::Status status = co_await with_timeout(timeout, sleep_for(delay));
    log += letter(status);
  }
  const absl::Status after = co_await sleep_for(0s);
  log += letter(after);
}

TEST_CASE("what ends before its timeout gives its result") {
  on_every_scene([](Scene& scene) {
    for (const bool in_task : {false, true}) {
      scene.log.clear();
      scene.spawn(waits(scene.log, 1s, 0s, in_task));  // completes at once
      CHECK(scene.log == "oo");
      scene.log.clear();
      scene.spawn(waits(scene.log, 2s, 1s, in_task));
      scene.advance(1s);
      CHECK(scene.log == "oo");
      scene.advance(2s);  // the timer is gone
      CHECK(scene.log == "oo");
    }
  });
}

TEST_CASE("a timeout ends what is awaited with kDeadlineExceeded, and the task goes on") {
  on_every_scene([](Scene& scene) {
    for (const bool in_task : {false, true}) {
      scene.log.clear();
      scene.spawn(waits(scene.log, 1s, 2s, in_task));
      scene.advance(1s - 1ns);
      CHECK(scene.log.empty());
      scene.advance(1ns);
      CHECK(scene.log == "do");
    }
  });
}

TEST_CASE("a deadline that has passed ends at once what would wait") {
  on_every_scene([](Scene& scene) {
    for (const bool in_task : {false, true}) {
      for (const Duration timeout : {Duration(0s), Duration(-1h)}) {
        scene.log.clear();
        scene.spawn(waits(scene.log, timeout, 1s, in_task));
        CHECK(scene.log == "do");
      }
    }
  });
}

TEST_CASE("a result that is there in the turn of its deadline wins") {
  on_every_scene([](Scene& scene) {
    for (const bool in_task : {false, true}) {
      scene.log.clear();
      scene.spawn(waits(scene.log, 1s, 1s, in_task));
      scene.advance(1s);
      CHECK(scene.log == "oo");
    }
  });
}

TEST_CASE("a timeout without end, in any unit, never comes") {
  on_every_scene([](Scene& scene) {
    scene.spawn(waits(scene.log, std::chrono::hours::max(), 1h, true));
    scene.advance(1h);
    CHECK(scene.log == "oo");
  });
}

TEST_CASE("operations after a deadline end at once, and the task that ignores them is awaited") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](std::string& log) -> Task<void> {
      const absl::Status status = co_await with_timeout(1s, naps_thrice(1h, log));
      log += letter(status);
    }(scene.log));
    scene.advance(1s);
    CHECK(scene.log == "dddd");
  });
}

TEST_CASE("a cancellation within a timeout is kCancelled, and stays so after the deadline") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      const absl::Status status = co_await with_timeout(1s, naps_thrice(1h, s.log));
      s.log += letter(status);
      const absl::Status next = co_await with_timeout(1s, sleep_for(1h));
      s.log += letter(next);
      const absl::Status late = co_await with_timeout(-1s, sleep_for(1h));
      s.log += letter(late);
    }(scene));
    scene.source.request_cancel();
    scene.source.request_cancel();
    scene.settle();
    CHECK(scene.log == "cccccc");
    scene.advance(1s);
    CHECK(scene.log == "cccccc");
  });
}

TEST_CASE("a deadline that came before a cancellation stays kDeadlineExceeded") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      const absl::Status status = co_await with_timeout(1s, [](Scene& t) -> Task<absl::Status> {
        absl::Status first = co_await sleep_for(1h);
        t.source.request_cancel();
        co_await yield();
        co_await yield();
        const absl::Status second = co_await sleep_for(1h);
        t.log += letter(second);
        co_return first;
      }(s));
      s.log += letter(status);
      const absl::Status own = co_await sleep_for(1h);
      s.log += letter(own);
    }(scene));
    scene.advance(1s);
    CHECK(scene.log == "ddc");
  });
}

TEST_CASE("a timeout does not hide a cancellation of the same turn") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      const absl::StatusOr<std::unique_ptr<int>> value =
          co_await with_timeout(1s, [](Scene& t) -> Task<absl::StatusOr<std::unique_ptr<int>>> {
            co_await or_return(sleep_for(500ms));
            t.source.request_cancel();
            co_return std::make_unique<int>(1);
          }(s));
      s.log += letter(value.status());
      const absl::Status next = co_await sleep_for(1h);
      s.log += letter(next);
    }(scene));
    scene.advance(500ms);
    CHECK(scene.log == "oc");
  });
}

TEST_CASE("another thread cancels what a timeout waits for") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    std::jthread other([&] { source.request_cancel(); });
    const absl::Status status = run(
        context,
        []() -> Task<absl::Status> {
          co_await or_return(with_timeout(1h, sleep_for(2h)));
          co_return absl::OkStatus();
        }(),
        source.token());
    CHECK(status == cancelled());
  });
}

TEST_CASE("nested timeouts: the sooner counts, and tasks see it") {
  on_every_scene([](Scene& scene) {
    struct Seen {
      TimePoint outside, outer, inner;
    } seen;
    const TimePoint begin = scene.clock.now();
    scene.spawn([](Scene& s, Seen& deadlines) -> Task<void> {
      deadlines.outside = (co_await this_task()).deadline;
      const absl::Status status =
          co_await with_timeout(1s, [](Scene& t, Seen& d) -> Task<absl::Status> {
            d.outer = (co_await this_task()).deadline;
            const absl::Status sooner = co_await with_timeout(100ms, sleep_for(1h));
            t.log += letter(sooner);
            const absl::Status later = co_await with_timeout(1h, [](Seen& e) -> Task<absl::Status> {
              e.inner = (co_await this_task()).deadline;
              co_return co_await sleep_for(2h);
            }(d));
            t.log += letter(later);
            co_return co_await sleep_for(1h);
          }(s, deadlines));
      s.log += letter(status);
      const absl::Status after = co_await sleep_for(0s);
      s.log += letter(after);
    }(scene, seen));
    scene.advance(100ms);
    CHECK(scene.log == "d");
    scene.advance(900ms);
    CHECK(scene.log == "dddo");
    CHECK(seen.outside == TimePoint::max());
    CHECK(seen.outer == begin + 1s);
    CHECK(seen.inner == begin + 1s);
  });
}

TEST_CASE("with_deadline takes a time point") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      const absl::Status status = co_await with_deadline(s.clock.now() + 1s, sleep_for(1h));
      s.log += letter(status);
    }(scene));
    scene.advance(1s);
    CHECK(scene.log == "d");
  });
}

TEST_CASE("a deadline reaches the groups that were made in it") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      const absl::Status status = co_await with_timeout(1s, [](Scene& t) -> Task<absl::Status> {
        TaskGroup group(co_await this_task());
        group.spawn(naps_thrice(1h, t.log));
        group.spawn(naps(1h));
        co_return co_await group.join();
      }(s));
      s.log += letter(status);
    }(scene));
    scene.advance(1s);
    CHECK(scene.log == "dddd");
  });
}

TEST_CASE("a join with a timeout ends the children") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(naps_thrice(1h, s.log));
      const absl::Status status = co_await with_timeout(1s, group.join());
      s.log += letter(status);
      const absl::Status after = co_await sleep_for(0s);
      s.log += letter(after);
    }(scene));
    scene.advance(1s);
    CHECK(scene.log == "ddddo");
  });
}

TEST_CASE("a deadline of a group that is set before the first child counts, and can be renewed") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.set_timeout(1s);
      const absl::Status slept = co_await sleep_for(500ms);
      s.log += letter(slept);
      group.spawn(naps(1h));
      const absl::Status first = co_await group.join();
      s.log += letter(first);
      group.spawn(naps(1h));  // after the deadline
      const absl::Status second = co_await group.join();
      s.log += letter(second);
      group.set_timeout(1s);
      group.spawn(naps(500ms));
      const absl::Status third = co_await group.join();
      s.log += letter(third);
      group.set_deadline(s.clock.now());
      group.spawn(naps(1h));
      const absl::Status fourth = co_await group.join();
      s.log += letter(fourth);
      group.cancel_after(1s);  // no failure
      group.spawn(naps(1h));
      const absl::Status fifth = co_await group.join();
      s.log += letter(fifth);
    }(scene));
    scene.advance(500ms);
    scene.advance(500ms);
    CHECK(scene.log == "odd");
    scene.advance(500ms);
    CHECK(scene.log == "oddod");
    scene.advance(1s);
    CHECK(scene.log == "oddodo");
  });
}

TEST_CASE("what is shielded is neither cancelled nor ended by a deadline") {
  on_every_scene([](Scene& scene) {
    scene.spawn([](Scene& s) -> Task<void> {
      const absl::Status status = co_await with_timeout(1s, [](Scene& t) -> Task<absl::Status> {
        const absl::Status task = co_await shielded(naps(2s));
        t.log += letter(task);
        const absl::Status plain = co_await shielded(sleep_for(1s));
        t.log += letter(plain);
        const absl::Status limited = co_await shielded(with_timeout(1s, sleep_for(2s)));
        t.log += letter(limited);
        co_return co_await sleep_for(1h);
      }(s));
      s.log += letter(status);
    }(scene));
    scene.advance(1s);
    scene.source.request_cancel();
    scene.settle();
    CHECK(scene.log.empty());
    scene.advance(1s);
    scene.advance(1s);
    scene.advance(1s);
    CHECK(scene.log == "oodd");
  });
}

TEST_CASE("a deadline reaches a task that has moved to another context, and comes back") {
  on_every_context([](Context& context) {
    ContextThread other;
    const absl::Status status = run(context, [](Context& o) -> Task<absl::Status> {
      co_return co_await with_timeout(1ms, [](Context& target) -> Task<absl::Status> {
        co_await resume_on(target);
        const TimePoint deadline = (co_await this_task()).deadline;
        if (deadline == TimePoint::max()) {
          co_return absl::InternalError("the deadline was left behind");
        }
        co_await or_return(sleep_for(1h));
        co_return absl::OkStatus();
      }(o));
    }(other.context()));
    CHECK(status == deadline_exceeded());
  });
}

TEST_CASE("the task of run() has the deadline of the token") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    source.set_deadline(TimePoint(5s));
    CHECK(run(
              context, []() -> Task<TimePoint> { co_return (co_await this_task()).deadline; }(),
              source.token()) == TimePoint(5s));
    source.request(CancelCause::kDeadline);
    CHECK(run(context, naps(1h), source.token()) == deadline_exceeded());
  });
}

TEST_CASE("an awaitable that moves its task in with_timeout() is an error") {
  CHECK(abort_message([] {
          const std::unique_ptr<Context> here = make_context();
          ContextThread there;
          run(*here, [](Context& target) -> Task<void> {
            co_await with_timeout(1h, resume_on(target));
          }(there.context()));
        }).find("give them a Task") != std::string::npos);
}

TEST_CASE("a timeout allocates nothing in the steady state") {
  on_every_context([](Context& context) {
    std::size_t made = 1;
    CHECK(run(context,
              [](std::size_t& allocations) -> Task<absl::Status> {
                for (int i = 0; i < 20; ++i) {
                  if (i == 10) {
                    allocations = allocations_so_far();
                  }
                  co_await or_return(with_timeout(1h, naps(1us)));
                  const absl::Status late = co_await with_timeout(1us, naps(1h));
                  if (late != deadline_exceeded()) {
                    co_return absl::InternalError("not late");
                  }
                }
                allocations = allocations_so_far() - allocations;
                co_return absl::OkStatus();
              }(made))
              .ok());
    if (!kSanitized) {
      CHECK(made == 0);
    }
  });
}

}  // namespace
}  // namespace coaio::testing
