#include "runtime/context.h"

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/clock.h"
#include "runtime/poll_policy.h"
#include "runtime/timer.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/patience.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("every back end that this machine allows runs a context") {
  for (const Backend backend : available_back_ends(true)) {
    const std::unique_ptr<Context> context = make_context({.backend = backend});
    CHECK(!context->poll(false));
    CHECK(!context->backend_reason().empty());
  }
}

TEST_CASE("a turn without anything to do is no progress, and does not sleep unless it may") {
  on_every_context([](Context& context) {
    CHECK(!context.poll(false));
    CHECK(context.figures().waits == 0);
    CHECK(context.figures().turns == 1);
  });
}

TEST_CASE("a turn runs bottom halves, then handlers, then timers") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const Pair pair = make_pipe();
        std::string log;
        BottomHalf half(context, [&] { log += 'b'; });
        Timer timer(context, [&] { log += 't'; });
        context.set_fd_handler(pair.a.get(), {.read = [&] { log += 'h'; }, .write = nullptr});
        context.poll(false);
        write_all(pair.b, "x");
        timer.arm_after(0ns);
        half.schedule();
        CHECK(context.poll(true));
        CHECK(log == "bht");
        context.set_fd_handler(pair.a.get(), {});
      },
      {.clock = &clock});
}

TEST_CASE("what a handler or a timer schedules runs in the next turn, which does not sleep") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        const Pair pair = make_pipe();
        std::string log;
        BottomHalf half(context, [&] { log += 'b'; });
        context.set_fd_handler(pair.a.get(), {.read =
                                                  [&] {
                                                    read_all(pair.a);
                                                    half.schedule();
                                                  },
                                              .write = nullptr});
        write_all(pair.b, "x");
        CHECK(context.poll(true));
        CHECK(log.empty());
        CHECK(context.poll(true));
        CHECK(log == "b");
        Timer timer(context, [&] { half.schedule(); });
        timer.arm_after(0ns);
        context.poll(true);
        CHECK(log == "b");
        context.poll(true);
        CHECK(log == "bb");
        context.set_fd_handler(pair.a.get(), {});
      },
      {.clock = &clock});
}

// --- notify, stop, post -------------------------------------------------------------------------

TEST_CASE("a notification ends the next sleep and is no progress") {
  on_every_context([](Context& context) {
    context.notify();
    CHECK(!context.poll(true));
    CHECK(context.figures().wakeups == 1);
  });
}

TEST_CASE("a sleeping loop is woken by another thread, again and again") {
  on_every_context([](Context& context) {
    constexpr int kRounds = 200;
    context.bind();
    std::atomic<int> round{0};
    std::thread waker([&] {
      for (int i = 0; i < kRounds; ++i) {
        while (round.load(std::memory_order_acquire) < i) {
          std::this_thread::yield();
        }
        context.notify();
      }
    });
    for (int i = 1; i <= kRounds; ++i) {
      context.poll(true);
      round.store(i, std::memory_order_release);
    }
    waker.join();
    CHECK(context.figures().turns == kRounds);
  });
}

TEST_CASE("stop ends the run in progress, or the one that has not begun, once") {
  on_every_context([](Context& context) {
    context.stop();
    context.run();
    bool ran = false;
    BottomHalf half(context, [&] {
      ran = true;
      context.stop();
    });
    half.schedule();
    context.run();
    CHECK(ran);
    std::thread stopper([&] { context.stop(); });
    context.run();
    stopper.join();
  });
}

TEST_CASE("stop ends a run whose bottom halves never end") {
  on_every_context([](Context& context) {
    int runs = 0;
    std::unique_ptr<BottomHalf> endless;
    endless = std::make_unique<BottomHalf>(context, [&] {
      if (++runs == 10) {
        context.stop();
      }
      endless->schedule();
    });
    endless->schedule();
    context.run();
    CHECK(runs == 10);
  });
}

TEST_CASE("run looks at the kernel now and then, though its bottom halves never end") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    std::unique_ptr<BottomHalf> endless;
    endless = std::make_unique<BottomHalf>(context, [&] { endless->schedule(); });
    endless->schedule();
    context.set_fd_handler(pair.a.get(), {.read = [&] { context.stop(); }, .write = nullptr});
    write_all(pair.b, "x");
    context.run();
    context.set_fd_handler(pair.a.get(), {});
  });
}

TEST_CASE("a loop that is notified all the time still hears from the kernel") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    bool heard = false;
    context.set_fd_handler(pair.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
    std::atomic<bool> enough{false};
    std::thread pest([&] {
      while (!enough) {
        context.notify();
      }
    });
    context.poll(false);
    write_all(pair.b, "x");
    context.run_until(heard);
    enough = true;
    pest.join();
    context.set_fd_handler(pair.a.get(), {});
  });
}

TEST_CASE("posted functions run at home, in the order of posting") {
  on_every_context([](Context& context) {
    context.bind();
    const std::thread::id home = std::this_thread::get_id();
    std::string log;
    bool at_home = true;
    bool done = false;
    std::thread poster([&] {
      for (const char name : {'a', 'b', 'c'}) {
        context.post([&, name] {
          log += name;
          at_home &= std::this_thread::get_id() == home;
        });
      }
      context.post([&] { done = true; });
    });
    context.run_until(done);
    poster.join();
    CHECK(log == "abc");
    CHECK(at_home);
  });
}

TEST_CASE(
    "a function that was posted and never called is destroyed with the context, and may post") {
  std::vector<std::string> log;
  struct Parting {
    std::vector<std::string>& log;
    Context& context;
    ~Parting() {
      log.emplace_back("gone");
      context.post([&l = log] { l.emplace_back("never"); });
    }
  };
  {
    const std::unique_ptr<Context> context = make_context();
    context->post([parting = std::make_unique<Parting>(log, *context)] {});
  }
  CHECK(log == std::vector<std::string>{"gone"});
}

// --- home ---------------------------------------------------------------------------------------

TEST_CASE("a context made on one thread is run on another, and used here when that has ended") {
  for (const Backend backend : available_back_ends()) {
    const Patience patience;
    const std::unique_ptr<Context> context = make_context({.backend = backend});
    bool ran = false;
    BottomHalf half(*context, [&] {
      ran = context->is_home();
      context->stop();
    });
    half.schedule();
    std::thread([&] { context->run(); }).join();
    CHECK(ran);
    CHECK(!context->is_home());
    half.schedule();
    half.cancel();
  }
}

TEST_CASE("the loop sees what was set up before it was bound") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    write_all(pair.b, "x");
    bool heard = false;
    context.set_fd_handler(pair.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
    std::thread([&] { context.run_until(heard); }).join();
    CHECK(heard);
    context.set_fd_handler(pair.a.get(), {});
  });
}

// --- handlers -----------------------------------------------------------------------------------

TEST_CASE("a handler is called for its direction, in each turn in which it holds") {
  on_every_context([](Context& context) {
    const Pair pair = make_unix_pair();
    std::string log;
    context.set_fd_handler(pair.a.get(),
                           {.read = [&] { log += 'r'; }, .write = [&] { log += 'w'; }});
    context.poll(true);
    CHECK(log == "w");
    write_all(pair.b, "x");
    context.poll(true);
    context.poll(true);
    CHECK(log == "wrwrw");
    context.set_fd_handler(pair.a.get(), {});
    CHECK(!context.poll(false));
  });
}

TEST_CASE("hang-up calls both handlers") {
  on_every_context([](Context& context) {
    Pair pair = make_unix_pair();
    std::string log;
    context.set_fd_handler(pair.a.get(), {.read = [&] { log += 'r'; }, .write = nullptr});
    context.set_fd_handler(pair.a.get(),
                           {.read = [&] { log += 'R'; }, .write = [&] { log += 'W'; }});
    fill(pair.a);
    pair.b.reset();
    context.poll(true);
    CHECK(log == "RW");
    context.set_fd_handler(pair.a.get(), {});
  });
}

TEST_CASE("another thread sets, replaces and removes handlers") {
  on_every_context([](Context& context) {
    context.bind();
    const Pair pair = make_pipe();
    write_all(pair.b, "x");
    bool first = false;
    std::thread setter([&] {
      context.set_fd_handler(pair.a.get(), {.read = [&] { first = true; }, .write = nullptr});
    });
    context.run_until(first);
    setter.join();
    bool second = false;
    std::thread replacer([&] {
      context.set_fd_handler(pair.a.get(), {.read = [&] { second = true; }, .write = nullptr});
    });
    context.run_until(second);
    replacer.join();
    std::atomic<bool> removed{false};
    bool done = false;
    std::thread remover([&] {
      context.remove_fd_handler_and_wait(pair.a.get());
      removed = true;
      context.post([&] { done = true; });
    });
    context.run_until(done);
    remover.join();
    CHECK(removed);
    CHECK(!context.poll(false));
  });
}

TEST_CASE("removing a handler and waiting is immediate at home") {
  on_every_context([](Context& context) {
    const Pair pair = make_pipe();
    write_all(pair.b, "x");
    context.set_fd_handler(
        pair.a.get(),
        {.read = [&] { context.remove_fd_handler_and_wait(pair.a.get()); }, .write = nullptr});
    CHECK(context.poll(true));
    CHECK(!context.poll(false));
  });
}

TEST_CASE(
    "a handler that closes its descriptor and gets the number again is not told of the old one") {
  on_every_context([](Context& context) {
    Pair old = make_pipe();
    Pair fresh;
    std::string log;
    write_all(old.b, "x");
    const int number = old.a.get();
    context.set_fd_handler(number, {.read =
                                        [&] {
                                          log += 'o';
                                          context.set_fd_handler(number, {});
                                          old.a.reset();
                                          fresh = make_pipe();
                                          REQUIRE(fresh.a.get() == number);
                                          context.set_fd_handler(
                                              number,
                                              {.read = [&] { log += 'n'; }, .write = nullptr});
                                        },
                                    .write = nullptr});
    context.poll(true);
    CHECK(log == "o");
    CHECK(!context.poll(false));
    write_all(fresh.b, "y");
    context.poll(true);
    CHECK(log == "on");
    context.set_fd_handler(number, {});
  });
}

TEST_CASE("external handlers are held back on every back end, and heard afterwards") {
  on_every_context([](Context& context) {
    const Pair client = make_pipe();
    const Pair completion = make_pipe();
    std::string log;
    context.set_fd_handler(client.a.get(),
                           {.read = [&] { log += 'x'; }, .write = nullptr, .external = true});
    context.set_fd_handler(completion.a.get(), {.read =
                                                    [&] {
                                                      read_all(completion.a);
                                                      log += 'c';
                                                    },
                                                .write = nullptr});
    context.disable_external();
    context.disable_external();
    write_all(client.b, "x");
    write_all(completion.b, "x");
    // One wake-up for nothing is allowed.
    for (int turns = 0; log.empty() && turns < 3; ++turns) {
      context.poll(true);
    }
    CHECK(log == "c");
    context.poll(false);
    context.poll(false);
    context.enable_external();
    context.poll(false);
    CHECK(log == "c");
    context.enable_external();
    CHECK(context.poll(true));
    CHECK(log == "cx");
    context.set_fd_handler(client.a.get(), {});
    context.set_fd_handler(completion.a.get(), {});
  });
}

// --- nested turns -------------------------------------------------------------------------------

TEST_CASE("a nested turn hears other descriptors, and not the one whose handler is running") {
  on_every_context([](Context& context) {
    const Pair outer = make_pipe();
    const Pair inner = make_pipe();
    std::string log;
    bool answered = false;
    context.set_fd_handler(outer.a.get(), {.read =
                                               [&] {
                                                 log += '(';
                                                 write_all(inner.b, "x");
                                                 while (!answered) {
                                                   context.poll(true);
                                                 }
                                                 log += ')';
                                                 read_all(outer.a);
                                               },
                                           .write = nullptr});
    context.set_fd_handler(inner.a.get(), {.read =
                                               [&] {
                                                 read_all(inner.a);
                                                 log += 'i';
                                                 answered = true;
                                               },
                                           .write = nullptr});
    write_all(outer.b, "x");
    context.poll(true);
    CHECK(log == "(i)");
    CHECK(!context.poll(false));
    write_all(outer.b, "x");
    context.poll(true);
    CHECK(log == "(i)()");
    context.set_fd_handler(outer.a.get(), {});
    context.set_fd_handler(inner.a.get(), {});
  });
}

TEST_CASE("events that the outer turn has collected are called by the nested one, once") {
  on_every_context([](Context& context) {
    constexpr int kPairs = 5;
    std::vector<Pair> pairs;
    int calls = 0;
    int depth = 0;
    for (int i = 0; i < kPairs; ++i) {
      pairs.push_back(make_pipe());
      write_all(pairs.back().b, "x");
    }
    for (const Pair& pair : pairs) {
      context.set_fd_handler(pair.a.get(), {.read =
                                                [&, &a = pair.a] {
                                                  read_all(a);
                                                  ++calls;
                                                  if (++depth < kPairs) {
                                                    context.poll(true);
                                                  }
                                                },
                                            .write = nullptr});
    }
    context.poll(true);
    CHECK(calls == kPairs);
    for (const Pair& pair : pairs) {
      context.set_fd_handler(pair.a.get(), {});
    }
  });
}

// --- polling ------------------------------------------------------------------------------------

TEST_CASE(
    "a loop that polls hears a notification, a bottom half and a descriptor without sleeping") {
  on_every_context(
      [](Context& context) {
        context.bind();
        const Pair pair = make_pipe();
        context.set_fd_handler(pair.a.get(), {.read = [&] { read_all(pair.a); }, .write = nullptr});
        context.poll(false);
        std::thread([&] { context.notify(); }).join();
        CHECK(!context.poll(true));
        BottomHalf half(context, [] {});
        std::thread scheduler([&] { half.schedule(); });
        while (!context.poll(true)) {
        }
        scheduler.join();
        std::thread writer([&] { write_all(pair.b, "x"); });
        CHECK(context.poll(true));
        writer.join();
        CHECK(context.figures().waits == 0);
        context.set_fd_handler(pair.a.get(), {});
      },
      {.polling = PollFixed{.max = 40s}});
}

TEST_CASE("a loop that polls in vain sleeps until the deadline and no longer") {
  on_every_context(
      [](Context& context) {
        int fired = 0;
        Timer timer(context, [&] { ++fired; });
        timer.arm_after(300us);
        while (fired == 0) {
          context.poll(true);
        }
        CHECK(context.figures().polls != 0);
        CHECK(context.figures().polled >= 100us);
      },
      {.polling = PollFixed{.max = 100us}});
}

TEST_CASE("a file that the kernel cannot watch is always ready") {
  on_every_context([](Context& context) {
    const UniqueFd null = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    bool ready = false;
    context.set_fd_handler(null.get(), {.read = [&] { ready = true; }, .write = nullptr});
    context.run_until(ready);
    context.set_fd_handler(null.get(), {});
  });
}

}  // namespace
}  // namespace coaio::testing
