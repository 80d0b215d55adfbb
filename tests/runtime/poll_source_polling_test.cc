// What poll sources are told of polling: begin and end in pairs, the last look, leaving when idle.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// --- begin and end ------------------------------------------------------------------------------

// Each begin has its end, in turns, and the last one too.
bool paired(const std::string& log) {
  bool begun = false;
  for (const char call : log) {
    if ((call == 'b' && begun) || (call == 'e' && !begun)) {
      return false;
    }
    begun = call == 'r' ? begun : call == 'b';
  }
  return !begun;
}

// Makes the loop poll in vain, and sleep, at least once.
void sleep_once(Context& context) {
  Timer timer(context, [] {});
  std::uint64_t waits = 0;
  do {
    timer.arm_after(2ms);
    waits = context.stats().waits;
    context.poll(true);
  } while (context.stats().waits == waits);
}

TEST_CASE("polling begins before the first look in a row, and ends before the loop sleeps") {
  on_every_context(
      [](Context& context) {
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        const ScopedPollSource added(context, slot);
        slot.full = true;
        CHECK(context.poll(true));
        CHECK(slot.log == "br");
        slot.full = true;
        CHECK(context.poll(true));  // goes on while it succeeds
        CHECK(slot.log == "brr");
        sleep_once(context);
        CHECK(paired(slot.log));
        CHECK(slot.log.starts_with("brre"));
        slot.log.clear();
        slot.full = true;
        CHECK(context.poll(true));
        CHECK(slot.log == "br");
      },
      {.polling = PollFixed{100us}});
}

TEST_CASE("a loop that does not poll begins nothing, and ends nothing") {
  on_every_context([](Context& context) {
    FakePollSource slot;
    const ScopedPollSource added(context, slot);
    context.poll(false);
    sleep_once(context);
    CHECK(slot.log.empty());
  });
}

TEST_CASE("a source that is removed while polling is on gets its end") {
  on_every_context(
      [](Context& context) {
        FakePollSource slot;
        ContextAccess(context).add(slot);
        slot.full = true;
        CHECK(context.poll(true));
        CHECK(slot.log == "br");
        ContextAccess(context).remove(slot);
        CHECK(slot.log == "bre");
        sleep_once(context);
        CHECK(slot.log == "bre");
      },
      {.polling = PollFixed{100us}});
}

TEST_CASE("a source that removes itself while it is called gets its end, and may be destroyed") {
  on_every_context(
      [](Context& context) {
        std::string log;
        auto slot = std::make_unique<FakePollSource>();
        slot->full = true;
        slot->at_ready = [&] {
          const absl::AnyInvocable<void()> self = std::move(slot->at_ready);
          ContextAccess(context).remove(*slot);
          log = slot->log;
          slot.reset();
        };
        ContextAccess(context).add(*slot);
        CHECK(context.poll(true));
        CHECK(log == "bre");
        CHECK(!context.poll(false));
      },
      {.polling = PollFixed{100us}});
}

TEST_CASE("a source that is added while polling is on gets its begin, and its end") {
  on_every_context(
      [](Context& context) {
        FakePollSource late;
        FakePollSource slot;
        slot.full = true;
        slot.at_ready = [&] {
          slot.full = false;
          ContextAccess(context).add(late);
          late.full = true;
        };
        const ScopedPollSource added(context, slot);
        CHECK(context.poll(true));
        CHECK(late.log.empty());
        CHECK(context.poll(true));
        CHECK(late.log == "br");
        sleep_once(context);
        CHECK(paired(late.log));
        CHECK(late.log.starts_with("bre"));
        CHECK(paired(slot.log));
        CHECK(slot.log.starts_with("bre"));
        ContextAccess(context).remove(late);
        CHECK(paired(late.log));
        CHECK(late.log.starts_with("bre"));
      },
      {.polling = PollFixed{100us}});
}

TEST_CASE("a source that is removed and added by its own call begins afresh") {
  on_every_context(
      [](Context& context) {
        FakePollSource slot;
        slot.full = true;
        slot.at_ready = [&] {
          slot.full = false;
          ContextAccess(context).remove(slot);
          ContextAccess(context).add(slot);
        };
        ContextAccess(context).add(slot);
        CHECK(context.poll(true));
        CHECK(slot.log == "bre");
        slot.full = true;
        CHECK(context.poll(true));
        CHECK(slot.log == "brebre");
        ContextAccess(context).remove(slot);
        CHECK(slot.log == "brebre");
      },
      {.polling = PollFixed{100us}});
}

TEST_CASE("a source that a nested turn removes, or adds, has its begin and end paired") {
  on_every_context(
      [](Context& context) {
        FakePollSource outer;
        FakePollSource inner;
        FakePollSource late;
        inner.at_ready = [&] {
          inner.full = false;
          ContextAccess(context).remove(outer);
          ContextAccess(context).add(late);
        };
        outer.full = true;
        outer.at_ready = [&] {
          outer.full = false;
          inner.full = true;
          context.poll(true);
        };
        ContextAccess(context).add(outer);
        ContextAccess(context).add(inner);
        CHECK(context.poll(true));
        CHECK(outer.log == "bre");
        sleep_once(context);
        CHECK(outer.log == "bre");
        CHECK(paired(inner.log));
        CHECK(inner.log.starts_with("bre"));
        CHECK(paired(late.log));
        CHECK(late.log.starts_with("be"));
        ContextAccess(context).remove(inner);
        ContextAccess(context).remove(late);
      },
      {.polling = PollFixed{100us}});
}

TEST_CASE("a nested turn that sleeps leaves the source that is called in its state") {
  on_every_context(
      [](Context& context) {
        FakePollSource slot;
        slot.full = true;
        slot.at_ready = [&] {
          sleep_once(context);
          CHECK(slot.log == "br");
          slot.full = false;
        };
        const ScopedPollSource added(context, slot);
        CHECK(context.poll(true));
        sleep_once(context);
        CHECK(paired(slot.log));
        CHECK(slot.log.starts_with("bre"));
      },
      {.polling = PollFixed{100us}});
}

// --- the last look ------------------------------------------------------------------------------

TEST_CASE("an event that races with the end of polling is found before the loop sleeps") {
  on_every_context(
      [](Context& context) {
        // The partner has seen that the loop does not need its doorbell, and fills the slot right
        // before the loop would sleep for ever.
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        slot.at_end = [&] { slot.full = true; };
        const ScopedPollSource added(context, slot);
        CHECK(context.poll(true));
        CHECK(slot.log == "ber");
        CHECK(context.stats().waits == 0);
        slot.at_end = nullptr;
      },
      {.polling = PollFixed{10us}});
}

// --- idle ---------------------------------------------------------------------------------------

constexpr int kTurnsUntilIdle = 1000;  // idle sources are looked for now and then

TEST_CASE("a source with a doorbell leaves when it is idle, and comes back when it is rung for") {
  ManualClock clock;
  with_and_without_polling(
      [&](Context& context) {
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        const ScopedPollSource added(context, slot);
        const auto turns = [&] {
          const int before = slot.polls;
          for (int turn = 0; turn < kTurnsUntilIdle; ++turn) {
            context.poll(false);
          }
          return slot.polls - before;
        };
        CHECK(turns() == kTurnsUntilIdle);
        clock.advance(7s - 1ns);
        CHECK(turns() == kTurnsUntilIdle);
        clock.advance(1ns);
        CHECK(turns() < kTurnsUntilIdle);
        CHECK(turns() == 0);

        slot.full = true;
        CHECK(!context.poll(false));  // nobody looks
        ring(doorbell);
        CHECK(context.poll(true));
        CHECK(slot.log.ends_with('r'));
        CHECK(turns() == kTurnsUntilIdle);
      },
      {.clock = &clock});
}

TEST_CASE("being ready keeps a source from being idle") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        const ScopedPollSource added(context, slot);
        for (int i = 0; i < 10; ++i) {
          clock.advance(5s);
          slot.full = true;
          CHECK(context.poll(false));
          for (int turn = 0; turn < kTurnsUntilIdle; ++turn) {
            context.poll(false);
          }
        }
      },
      {.clock = &clock});
}

TEST_CASE("a source that becomes ready while it leaves does not leave") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        const ScopedPollSource added(context, slot);
        slot.full = true;
        CHECK(context.poll(true));
        slot.at_end = [&] { slot.full = true; };
        for (int turn = 0; turn < kTurnsUntilIdle; ++turn) {
          context.poll(false);
        }
        clock.advance(8s);
        while (!context.poll(false)) {
        }
        CHECK(slot.log == "brer");
        slot.at_end = nullptr;
        slot.full = true;
        CHECK(context.poll(false));
      },
      {.polling = PollFixed{10us}, .clock = &clock});
}

TEST_CASE("the time after which a source is idle can be chosen") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const UniqueFd doorbell = make_eventfd(0);
        FakePollSource slot(doorbell);
        const ScopedPollSource added(context, slot);
        for (int turn = 0; turn < kTurnsUntilIdle; ++turn) {
          context.poll(false);
        }
        clock.advance(1ms);
        for (int turn = 0; turn < kTurnsUntilIdle; ++turn) {
          context.poll(false);
        }
        const int before = slot.polls;
        context.poll(false);
        CHECK(slot.polls == before);
      },
      {.idle_source_limit = 1ms, .clock = &clock});
}

TEST_CASE("a source without a doorbell never leaves") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        FakePollSource slot;
        const ScopedPollSource added(context, slot);
        for (int i = 0; i < 3; ++i) {
          for (int turn = 0; turn < kTurnsUntilIdle; ++turn) {
            context.poll(false);
          }
          clock.advance(1h);
        }
        slot.full = true;
        CHECK(context.poll(false));
      },
      {.clock = &clock});
}

}  // namespace
}  // namespace coaio::testing
