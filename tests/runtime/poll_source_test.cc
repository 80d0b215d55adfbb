// Which sources are found, and when they are called; poll_source_polling_test.cc is about what they
// are told of polling.

#include "runtime/poll_source.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// --- found --------------------------------------------------------------------------------------

TEST_CASE("a source that is ready is called in a turn, is progress, and is called once") {
  with_and_without_polling([](Context& context) {
    for (const bool may_block : {false, true}) {
      const UniqueFd doorbell = make_eventfd(0);
      FakePollSource slot(doorbell);
      const ScopedPollSource added(context, slot);
      CHECK(!context.poll(false));
      slot.full = true;
      CHECK(context.poll(may_block));
      CHECK(!context.poll(false));
      CHECK(slot.log.ends_with('r'));
      CHECK(slot.log.find('r') == slot.log.size() - 1);
    }
    CHECK(context.stats().waits == 0);
  });
}

TEST_CASE("a source that was ready when it was added is found before the loop sleeps") {
  with_and_without_polling([](Context& context) {
    FakePollSource slot;
    slot.full = true;
    const ScopedPollSource added(context, slot);
    CHECK(context.poll(true));
    CHECK(context.stats().waits == 0);
  });
}

TEST_CASE("the doorbell wakes a loop that sleeps, also one that never polls") {
  with_and_without_polling([](Context& context) {
    const UniqueFd doorbell = make_eventfd(0);
    FakePollSource slot(doorbell);
    const ScopedPollSource added(context, slot);
    context.bind();
    for (int round = 0; round < 20; ++round) {
      slot.log.clear();
      std::thread partner([&] {
        slot.full.store(true, std::memory_order_release);
        ring(doorbell);
      });
      while (slot.log.find('r') == std::string::npos) {
        context.poll(true);
      }
      partner.join();
    }
  });
}

TEST_CASE("a source without a doorbell is found when a thread notifies the context") {
  with_and_without_polling([](Context& context) {
    FakePollSource slot;
    const ScopedPollSource added(context, slot);
    context.bind();
    for (int round = 0; round < 20; ++round) {
      slot.log.clear();
      std::thread partner([&] {
        slot.full.store(true, std::memory_order_release);
        context.notify();
      });
      while (slot.log.find('r') == std::string::npos) {
        context.poll(true);
      }
      partner.join();
    }
  });
}

TEST_CASE("a notification between two sleeps lets the source be found in the turn that it ends") {
  on_every_context([](Context& context) {
    FakePollSource slot;
    const ScopedPollSource added(context, slot);
    context.poll(false);
    context.notify();
    slot.full = true;
    CHECK(context.poll(true));
    CHECK(slot.log == "r");
  });
}

TEST_CASE("a ring without a ready source calls no source") {
  with_and_without_polling([](Context& context) {
    const UniqueFd doorbell = make_eventfd(0);
    FakePollSource slot(doorbell);
    const ScopedPollSource added(context, slot);
    ring(doorbell);
    context.poll(true);
    CHECK(slot.log.find('r') == std::string::npos);
    CHECK(!context.poll(false));
  });
}

TEST_CASE("a ring that another reader has taken back does not block the loop") {
  on_every_context([](Context& context) {
    const UniqueFd doorbell(eventfd(0, EFD_CLOEXEC));  // blocking, as the partner may have made it
    FakePollSource slot(doorbell);
    const ScopedPollSource added(context, slot);
    // Another descriptor, so that the kernel is asked although the source is looked at in memory.
    const Pair pipe = make_pipe();
    context.set_fd_handler(pipe.a.get(), {.read = [] {}, .write = nullptr});
    context.poll(false);
    // Runs after the ring was reported, and before the loop takes it back.
    BottomHalf thief(context, [&] {
      eventfd_t count = 0;
      CHECK(eventfd_read(doorbell.get(), &count) == 0);
    });
    ring(doorbell);
    thief.schedule();
    CHECK(context.poll(true));
    CHECK(!context.poll(false));
    context.set_fd_handler(pipe.a.get(), {});
  });
}

TEST_CASE("a source that stays ready is called once a turn") {
  with_and_without_polling([](Context& context) {
    FakePollSource slot;
    slot.at_ready = [] {};
    slot.full = true;
    const ScopedPollSource added(context, slot);
    for (int turn = 0; turn < 10; ++turn) {
      CHECK(context.poll(true));
    }
    CHECK(std::count(slot.log.begin(), slot.log.end(), 'r') == 10);
  });
}

TEST_CASE("sources that are ready together are called in the order in which they were added") {
  on_every_context([](Context& context) {
    std::string log;
    FakePollSource slots[3];
    std::unique_ptr<ScopedPollSource> added[3];
    for (int i = 0; i < 3; ++i) {
      slots[i].full = true;
      slots[i].at_ready = [&log, &slot = slots[i], i] {
        slot.full = false;
        log += static_cast<char>('0' + i);
      };
      added[i] = std::make_unique<ScopedPollSource>(context, slots[i]);
    }
    CHECK(context.poll(true));
    CHECK(log == "012");
  });
}

TEST_CASE("bottom halves run before sources, and timers after them") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        std::string log;
        BottomHalf half(context, [&] { log += 'b'; });
        Timer timer(context, [&] { log += 't'; });
        FakePollSource slot;
        slot.at_ready = [&] {
          slot.full = false;
          log += 's';
        };
        const ScopedPollSource added(context, slot);
        slot.full = true;
        half.schedule();
        timer.arm_after(0ns);
        CHECK(context.poll(false));
        CHECK(log == "bst");
      },
      {.clock = &clock});
}

// --- nesting ------------------------------------------------------------------------------------

TEST_CASE("a source is not looked at while it is called, and others are") {
  with_and_without_polling([](Context& context) {
    FakePollSource slot;
    FakePollSource other;
    int depth = 0;
    slot.full = true;
    slot.at_ready = [&] {
      REQUIRE(++depth == 1);
      const int before = slot.polls;
      other.full = true;
      CHECK(context.poll(true));
      CHECK(other.log.ends_with('r'));
      CHECK(!context.poll(false));
      CHECK(slot.polls == before);
      slot.full = false;
    };
    const ScopedPollSource added(context, slot);
    const ScopedPollSource also_added(context, other);
    CHECK(context.poll(true));
    CHECK(depth == 1);
    slot.at_ready = nullptr;
    slot.full = true;
    CHECK(context.poll(true));
  });
}

TEST_CASE(
    "a nested turn calls the sources that the outer one has found, and none is called twice") {
  on_every_context([](Context& context) {
    FakePollSource first;
    FakePollSource second;
    first.full = true;
    second.full = true;
    first.at_ready = [&] {
      first.full = false;
      CHECK(context.poll(true));
      CHECK(second.log == "r");
    };
    const ScopedPollSource added(context, first);
    const ScopedPollSource also_added(context, second);
    CHECK(context.poll(true));
    CHECK(first.log == "r");
    CHECK(second.log == "r");
  });
}

TEST_CASE("a source that another one removes is not called any more") {
  on_every_context([](Context& context) {
    FakePollSource first;
    FakePollSource second;
    first.full = true;
    second.full = true;
    first.at_ready = [&] {
      first.full = false;
      ContextAccess(context).remove(second);
    };
    ContextAccess(context).add(first);
    ContextAccess(context).add(second);
    CHECK(context.poll(true));
    CHECK(second.log.empty());
    ContextAccess(context).remove(first);
  });
}

// --- fairness -----------------------------------------------------------------------------------

TEST_CASE("a source that is always ready does not starve a descriptor") {
  with_and_without_polling([](Context& context) {
    const Pair pipe = make_pipe();
    int heard = 0;
    context.set_fd_handler(pipe.a.get(), {.read =
                                              [&] {
                                                read_all(pipe.a);
                                                ++heard;
                                              },
                                          .write = nullptr});
    FakePollSource slot;
    slot.at_ready = [] {};
    slot.full = true;
    const ScopedPollSource added(context, slot);
    for (int round = 1; round <= 10; ++round) {
      write_all(pipe.b, "x");
      for (int turn = 0; heard < round && turn < 200; ++turn) {
        context.poll(true);
      }
      CHECK(heard == round);
    }
    context.set_fd_handler(pipe.a.get(), {});
  });
}

// For back ends that show nothing in memory: the loop asks them by count and by the clock.
TEST_CASE("a source whose calls take their time holds a descriptor up by the clock, not by count") {
  with_and_without_polling([](Context& context) {
    constexpr auto kCall = 100us;  // longer than time_between_looks
    const Pair pipe = make_pipe();
    bool heard = false;
    context.set_fd_handler(pipe.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
    FakePollSource slot;
    slot.at_ready = [&] {
      const auto end = std::chrono::steady_clock::now() + kCall;
      while (std::chrono::steady_clock::now() < end) {
      }
    };
    slot.full = true;
    const ScopedPollSource added(context, slot);
    context.poll(true);
    write_all(pipe.b, "x");
    int turns = 0;
    while (!heard) {
      ++turns;
      context.poll(true);
    }
    CHECK(turns <= 9);
    context.set_fd_handler(pipe.a.get(), {});
  });
}

TEST_CASE("a loop that polls a quiet source hears a descriptor and a notification") {
  on_every_context(
      [](Context& context) {
        const Pair pipe = make_pipe();
        bool heard = false;
        context.set_fd_handler(pipe.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
        FakePollSource slot;
        const ScopedPollSource added(context, slot);
        write_all(pipe.b, "x");
        while (!heard) {
          context.poll(true);
        }
        context.set_fd_handler(pipe.a.get(), {});
        context.notify();
        CHECK(!context.poll(true));
        CHECK(context.stats().waits == 0);
      },
      {.polling = PollFixed{20s}});
}

TEST_CASE("what a source schedules or arms in poll_begin() or poll_end() is not slept on") {
  with_and_without_polling([](Context& context) {
    for (const bool at_begin : {false, true}) {
      bool ran = false;
      bool fired = false;
      BottomHalf half(context, [&] { ran = true; });
      Timer timer(context, [&] { fired = true; });
      FakePollSource slot;
      bool told = false;
      const auto schedule = [&] {
        if (!std::exchange(told, true)) {
          half.schedule();
          timer.arm_after(0ns);
        }
      };
      slot.at_begin = at_begin ? absl::AnyInvocable<void()>(schedule) : nullptr;
      slot.at_end = at_begin ? nullptr : absl::AnyInvocable<void()>(schedule);
      const ScopedPollSource added(context, slot);
      Timer late(context, [] {});
      late.arm_after(5ms);  // without polling there is neither a begin nor an end
      while (late.pending() && !fired) {
        context.poll(true);
      }
      CHECK(ran == told);
      CHECK(fired == told);
    }
  });
}

// --- misuse -------------------------------------------------------------------------------------

TEST_CASE("a turn inside poll(), poll_begin() or poll_end() is refused with a sentence") {
  const auto words = [](absl::AnyInvocable<void(FakePollSource&, Context&)> arrange) {
    return abort_message([&] {
      const std::unique_ptr<Context> context = make_context({.polling = PollFixed{10us}});
      FakePollSource slot;
      arrange(slot, *context);
      const ScopedPollSource added(*context, slot);
      context->poll(true);
    });
  };
  CHECK(words([](FakePollSource& slot, Context& context) {
          slot.at_begin = [&] { context.poll(false); };
        }).find("do that in on_ready()") != std::string::npos);
  CHECK(words([](FakePollSource& slot, Context& context) {
          slot.at_end = [&] { context.poll(true); };
        }).find("do that in on_ready()") != std::string::npos);
  CHECK(words([](FakePollSource& slot, Context& context) {
          slot.at_end = [&] { ContextAccess(context).remove(slot); };
        }).find("do that in on_ready()") != std::string::npos);

  class Nester final : public PollSource {
   public:
    explicit Nester(Context& context) : context_(context) {}
    bool poll() override { return context_.poll(false); }
    void on_ready() override {}

   private:
    Context& context_;
  };
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          Nester nester(*context);
          const ScopedPollSource added(*context, nester);
          context->poll(false);
        }).find("do that in on_ready()") != std::string::npos);
}

TEST_CASE("two sources of a context with one doorbell are refused, and the descriptor is named") {
  const UniqueFd doorbell = make_eventfd(0);
  CHECK(abort_message([&] {
          const std::unique_ptr<Context> context = make_context();
          FakePollSource first(doorbell);
          FakePollSource second(doorbell);
          const ScopedPollSource added(*context, first);
          const ScopedPollSource again(*context, second);
        }).find("share descriptor " + std::to_string(doorbell.get())) != std::string::npos);
  const std::unique_ptr<Context> context = make_context();
  FakePollSource first(doorbell);
  FakePollSource second(doorbell);
  {
    const ScopedPollSource added(*context, first);
  }
  const ScopedPollSource again(*context, second);  // one after the other
}

TEST_CASE("adding twice, removing what is not there, and ending too early are refused") {
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          FakePollSource slot;
          ContextAccess(*context).add(slot);
          ContextAccess(*context).add(slot);
        }).find("added twice") != std::string::npos);
  CHECK(abort_message([] {
          FakePollSource slot;
          ContextAccess(*make_context()).remove(slot);
        }).find("was not added") != std::string::npos);
  CHECK(abort_message([] {
          const std::unique_ptr<Context> context = make_context();
          FakePollSource slot;
          ContextAccess(*context).add(slot);
        }).find("remove() it before") != std::string::npos);
  CHECK(abort_message([] {
          FakePollSource slot;
          ContextAccess(*make_context()).add(slot);
        }).find("1 poll source") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
