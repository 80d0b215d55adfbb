#include "coro/cancel_relay.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "coro/cancel.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<absl::Status> sleep_there(Context& there) {
  co_await resume_on(there);
  const absl::Status status = co_await sleep_for(24h);
  CHECK(there.is_home());
  co_return status;
}

Task<absl::Status> join_soon_cancelled(TaskGroup& group) {
  co_await yield();
  group.cancel();
  co_return co_await group.join();
}

TEST_CASE("a request reaches a task that has moved") {
  on_every_context([](Context& context) {
    ContextThread other;
    for (int round = 0; round < 50; ++round) {
      run(context, [](Context& there) -> Task<void> {
        TaskGroup group(co_await this_task());
        for (int i = 0; i < 3; ++i) {
          group.spawn(sleep_there(there));
        }
        CHECK((co_await join_soon_cancelled(group)).ok());
      }(other.context()));
    }
  });
}

TEST_CASE("a request that was there before the move is there after it") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& there) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.cancel();
      group.spawn(sleep_there(there));
      CHECK((co_await group.join()).ok());
    }(other.context()));
  });
}

Task<absl::Status> commute(Context& here, Context& there) {
  absl::Status status;
  while (status.ok()) {
    co_await resume_on(there);
    status = co_await sleep_for(1us);
    co_await resume_on(here);
    status.Update(co_await sleep_for(1us));
  }
  co_return status;
}

TEST_CASE("a request finds a task that never stays anywhere") {
  on_every_context([](Context& context) {
    ContextThread other;
    for (int round = 0; round < 30; ++round) {
      run(context, [](Context& here, Context& there) -> Task<void> {
        TaskGroup group(co_await this_task());
        group.spawn(commute(here, there));
        group.spawn(commute(here, there));
        CHECK((co_await sleep_for(20us)).ok());
        group.cancel();
        CHECK((co_await group.join()).ok());
      }(context, other.context()));
    }
  });
}

TEST_CASE("a request reaches a task two moves away from its parent, and that one's children") {
  on_every_context([](Context& context) {
    ContextThread second;
    ContextThread third;
    run(context, [](Context& b, Context& c) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn([](Context& next, Context& last) -> Task<absl::Status> {
        co_await resume_on(next);
        TaskGroup inner(co_await this_task());
        inner.spawn(sleep_there(last));
        inner.spawn(sleep_there(next));
        const absl::Status status = co_await inner.join();
        CHECK(next.is_home());
        co_return status;
      }(b, c));
      CHECK((co_await join_soon_cancelled(group)).ok());
    }(second.context(), third.context()));
  });
}

TEST_CASE("a group stays cancellable at home while its task is away") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& home, Context& there) -> Task<void> {
      TaskGroup outer(co_await this_task());
      outer.spawn([](Context& back, Context& away) -> Task<absl::Status> {
        TaskGroup inner(co_await this_task());
        inner.spawn([]() -> Task<absl::Status> { co_return co_await sleep_for(24h); }());
        for (int i = 0; i < 3; ++i) {  // the first move makes the relay, later ones have it
          co_await resume_on(away);
          co_await resume_on(back);
        }
        co_return co_await inner.join();
      }(home, there));
      CHECK((co_await join_soon_cancelled(outer)).ok());
    }(context, other.context()));
  });
}

// Where its last copy has ended.
struct Ends {
  Ends(Context& h, bool& e) : home(&h), ended_at_home(&e) {}
  Ends(Ends&& other) noexcept
      : home(std::exchange(other.home, nullptr)), ended_at_home(other.ended_at_home) {}
  Ends& operator=(Ends&&) = delete;
  ~Ends() {
    if (home != nullptr) {
      *ended_at_home = home->is_home();
    }
  }
  Context* home;
  bool* ended_at_home;
};

// Ends away; the result is brought to the home of the parent.
Task<Context*> pick(Context& away, Context& target, Ends) {
  co_await resume_on(away);
  co_return &target;
}

Task<Context*> pick(Context& away, Context& target) {
  co_await resume_on(away);
  co_return &target;
}

TEST_CASE(
    "the frame of a task that moved ends at its parent's home, also where the parent moves within "
    "the same expression") {
  on_every_context([](Context& context) {
    ContextThread second;
    ContextThread third;
    run(context, [](Context& a, Context& b, Context& c) -> Task<void> {
      bool ended_at_home = false;
      co_await resume_on(*co_await pick(b, c, Ends(a, ended_at_home)));
      CHECK(ended_at_home);
      CHECK(c.is_home());
    }(context, second.context(), third.context()));
  });
}

TEST_CASE("a child that has moved leaves nothing on the source of a parent that moves on") {
  on_every_context([](Context& context) {
    ContextThread second;
    ContextThread third;
    run(context, [](Context& a, Context& b, Context& c) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn([](Context& home, Context& next, Context& last) -> Task<void> {
        co_await resume_on(next);
        co_await resume_on(*co_await pick(last, home));  // the source of `next` ends here
        CHECK(home.is_home());
      }(a, b, c));
      CHECK((co_await group.join()).ok());
    }(context, second.context(), third.context()));
  });
}

TEST_CASE("many tasks that pick their next home elsewhere keep the lists of each home whole") {
  on_every_context([](Context& context) {
    ContextThread second;
    ContextThread third;
    run(context, [](Context& a, Context& b, Context& c) -> Task<void> {
      TaskGroup group(co_await this_task());
      for (int i = 0; i < 16; ++i) {
        group.spawn([](Context& home, Context& next, Context& last) -> Task<void> {
          for (int round = 0; round < 100; ++round) {
            co_await resume_on(*co_await pick(last, next));
            co_await resume_on(home);
          }
        }(a, b, c));
      }
      CHECK((co_await group.join()).ok());
    }(context, second.context(), third.context()));
  });
}

Task<void> cancel_itself() { (co_await this_task()).token.source()->request_cancel(); }

Task<bool> is_cancelled() { co_return (co_await this_task()).token.cancel_requested(); }

TEST_CASE("a request that is made to the token of a moved task stays with the task at each move") {
  on_every_context([](Context& context) {
    ContextThread second;
    ContextThread third;
    run(context, [](Context& a, Context& b, Context& c) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn([](Context& home, Context& next, Context& last) -> Task<void> {
        co_await resume_on(next);
        co_await cancel_itself();
        for (Context* target : {&last, &home, &next, &home}) {
          co_await resume_on(*target);
          CHECK(co_await is_cancelled());
          CHECK(absl::IsCancelled(co_await sleep_for(24h)));
        }
      }(a, b, c));
      group.spawn([](Context& next, Context& home) -> Task<void> {  // the others are not concerned
        co_await resume_on(next);
        co_await resume_on(home);
        CHECK(!co_await is_cancelled());
      }(b, a));
      CHECK((co_await group.join()).ok());
    }(context, second.context(), third.context()));
  });
}

TEST_CASE("a task that was cancelled while it was away cancels the group that it left at home") {
  on_every_context([](Context& context) {
    ContextThread other;
    run(context, [](Context& home, Context& there) -> Task<void> {
      TaskGroup outer(co_await this_task());
      absl::Status seen;
      outer.spawn([](Context& back, Context& away, absl::Status& status) -> Task<void> {
        TaskGroup inner(co_await this_task());
        inner.spawn([]() -> Task<absl::Status> { co_return co_await sleep_for(24h); }());
        co_await resume_on(away);
        co_await cancel_itself();
        co_await resume_on(back);
        status = co_await inner.join();
      }(home, there, seen));
      CHECK((co_await outer.join()).ok());
      CHECK(absl::IsCancelled(seen));
    }(context, other.context()));
  });
}

Task<void> commute_often(Context& here, Context& there, int times) {
  for (int i = 0; i < times; ++i) {
    co_await resume_on(there);
    co_await resume_on(here);
  }
}

TEST_CASE("a task that moves for the second time allocates nothing") {
  if (kSanitized) {
    return report_skipped("a sanitized build keeps no frames");
  }
  const auto context = make_context();
  const auto other = make_context();  // both run by this thread
  const auto allocations_of = [&](int times) {
    TaskGroup group({*context, {}});
    group.spawn(commute_often(*context, *other, times));
    const std::size_t before = allocations_so_far();
    while (group.size() != 0) {
      context->poll(false);
      other->poll(false);
    }
    return allocations_so_far() - before;
  };
  static_cast<void>(allocations_of(2));
  CHECK(allocations_of(100) == allocations_of(1));
}

TEST_CASE(
    "leaving a group behind on a context that was only visited ends the process with the fix") {
  const std::string words = abort_message([] {
    const auto context = make_context();
    const auto visited = make_context();  // both run by this thread
    TaskGroup outer({*context, {}});
    outer.spawn([](Context& there, Context& back) -> Task<void> {
      co_await resume_on(there);
      TaskGroup inner(co_await this_task());
      co_await resume_on(back);
    }(*visited, *context));
    while (outer.size() != 0) {
      context->poll(false);
      visited->poll(false);
    }
  });
  CAPTURE(words);
  CHECK(words.find("join a group before its task moves") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
