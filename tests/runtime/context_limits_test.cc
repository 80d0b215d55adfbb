// Where a context ends: forks, threads that are not its home, its destruction.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "backends/backend.h"
#include "backends/events.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/scoped_poll_source.h"
#include "runtime/time/timer.h"
#include "runtime/time/wall_timer.h"
#include "runtime/watchdog.h"
#include "runtime/watched_fd.h"
#include "tests/support/abort_message.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_poll_source.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

void check_says(const std::function<void()>& work, const std::string& words) {
  const std::string said = abort_message(work);
  CAPTURE(said);
  CAPTURE(words);
  CHECK(said.find(words) != std::string::npos);
}

// --- fork ---------------------------------------------------------------------------------------

TEST_CASE("a context is refused in a forked child, by a sentence") {
  on_every_context([](Context& context) {
    context.bind();
    BottomHalf half(context, [] {});
    const std::string words = "forked child";
    check_says([&] { context.poll(false); }, words);
    check_says([&] { context.run(); }, words);
    check_says([&] { context.stop(); }, words);
    check_says([&] { std::thread([&] { half.schedule(); }).join(); }, words);
    check_says([&] { half.schedule(); }, words);
    check_says([&] { context.post([] {}); }, words);
    check_says([&] { Timer(context, [] {}).arm_after(1s); }, words);
    check_says([&] { IdleBottomHalf(context, [] {}).schedule(); }, words);
    check_says([&] { context.set_fd_handler(0, {.read = [] {}, .write = nullptr}); }, words);
    check_says([&] { context.set_fd_handler(0, {.read = nullptr, .write = [] {}}); }, words);
    check_says([&] { ContextAccess(context).fds(); }, words);
    check_says([&] { context.disable_external(); }, words);
    check_says([&] { context.set_polling(PollOff{}); }, words);
    check_says(
        [&] {
          FakePollSource slot;
          ContextAccess(context).add(slot);
        },
        words);
  });
}

struct Waiter : FdWaiter {
  explicit Waiter(bool& w) : FdWaiter(&Waiter::wake), woken(w) {}
  static void wake(FdWaiter& waiter, Events) { static_cast<Waiter&>(waiter).woken = true; }
  bool& woken;
};

// On the home thread, and as the copy of another one.
TEST_CASE("in a forked child everything that uses a context can be destroyed") {
  const auto use_and_fork = [](Context& context, bool at_home) {
    auto half = std::make_unique<BottomHalf>(context, [] {});
    auto idle = std::make_unique<IdleBottomHalf>(context, [] {});
    auto timer = std::make_unique<Timer>(context, [] {});
    auto wall_timer = std::make_unique<WallTimer>(context, [] {});
    FakePollSource slot;
    auto added = std::make_unique<ScopedPollSource>(context, slot);
    auto owner = std::make_unique<WatchedFd>(context, make_eventfd(0));
    bool woken = false;
    Waiter waiter(woken);
    ContextAccess(context).fds().wait(owner->record(), waiter, Events::kIn);
    auto watchdog =
        std::make_unique<Watchdog>(context, WatchdogOptions{.limit = 1h, .report = nullptr});
    const Pair pair = make_pipe();
    context.set_fd_handler(pair.a.get(), {.read = [] {}, .write = nullptr});
    context.set_fd_handler(pair.b.get(), {.read = [] {}, .write = nullptr});
    context.disable_external();
    half->schedule();
    idle->schedule();
    timer->arm_after(1h);
    wall_timer->arm_at(std::chrono::system_clock::now() + 1h);
    const std::string log = slot.log;
    const auto destroy_in_child = [&] {
      CHECK(run_in_child([&]() -> std::string {
              half.reset();
              idle.reset();
              timer.reset();
              wall_timer.reset();
              added.reset();
              owner.reset();
              watchdog.reset();
              context.set_fd_handler(pair.a.get(), {});
              context.remove_fd_handler_and_wait(pair.b.get());
              context.enable_external();
              if (woken) {
                return "a waiter of the parent was woken";
              }
              return slot.log == log ? "destroyed" : "a source was told of polling";
            }) == "destroyed");
    };
    if (at_home) {
      destroy_in_child();
    } else {
      std::thread(destroy_in_child).join();
    }
    context.enable_external();
    context.set_fd_handler(pair.a.get(), {});
    context.set_fd_handler(pair.b.get(), {});
    ContextAccess(context).fds().remove(waiter);
  };
  for (const bool at_home : {true, false}) {
    on_every_context([&](Context& context) {
      context.bind();
      use_and_fork(context, at_home);
    });
  }
}

TEST_CASE("a signal handler in a forked child does not disturb the parent") {
  on_every_context([](Context& context) {
    context.bind();
    BottomHalf half(context, [] {});
    CHECK(run_in_child([&]() -> std::string {
            context.notify();
            half.schedule_from_signal();
            return "done";
          }) == "done");
    CHECK(!context.poll(false));
    CHECK(context.stats().wakeups == 0);
  });
}

TEST_CASE("destroying a context in a forked child leaves the parent's watches alone") {
  for (const Backend backend : available_back_ends()) {
    std::unique_ptr<Context> context = make_context({.backend = backend});
    context->bind();
    const Pair pair = make_pipe();
    bool heard = false;
    context->set_fd_handler(pair.a.get(), {.read = [&] { heard = true; }, .write = nullptr});
    context->poll(false);
    CHECK(run_in_child([&]() -> std::string {
            context.reset();
            return "destroyed";
          }) == "destroyed");
    write_all(pair.b, "x");
    CHECK(context->poll(true));
    CHECK(heard);
    std::thread waker([&] { context->notify(); });
    context->set_fd_handler(pair.a.get(), {});
    context->poll(true);
    waker.join();
  }
}

TEST_CASE("a forked child that returns from a callback into the loop is stopped by a sentence") {
  on_every_context([](Context& context) {
    check_says(
        [&] {
          context.bind();
          context.post([] {
            if (fork() != 0) {
              int status = 0;
              wait(&status);
              if (WIFSIGNALED(status)) {
                std::abort();
              }
              _exit(EXIT_SUCCESS);
            }
          });
          context.run();
        },
        "forked child");
  });
}

TEST_CASE("a child makes its own context") {
  CHECK(run_in_child([]() -> std::string {
          const std::unique_ptr<Context> context = make_context();
          bool ran = false;
          context->post([&] { ran = true; });
          context->poll(false);
          return ran ? "ran" : "did not run";
        }) == "ran");
}

// --- home ---------------------------------------------------------------------------------------

TEST_CASE("what only the home thread may do is refused elsewhere, by a sentence") {
  const auto elsewhere = [](const std::function<void(Context&)>& work, const std::string& words) {
    check_says(
        [&] {
          const std::unique_ptr<Context> context = make_context();
          context->bind();
          std::thread([&] { work(*context); }).join();
        },
        words);
  };
  elsewhere([](Context& context) { context.poll(false); }, "a second thread");
  elsewhere([](Context& context) { Timer(context, [] {}).arm_after(1s); },
            "another thread than its home");
  elsewhere([](Context& context) { context.disable_external(); }, "another thread than its home");
  elsewhere([](Context& context) { ContextAccess(context).fds(); }, "another thread than its home");
  elsewhere([](Context& context) { BottomHalf(context, [] {}).cancel(); },
            "another thread than its home");
  elsewhere([](Context& context) { IdleBottomHalf(context, [] {}).schedule(); },
            "another thread than its home");
}

// --- destruction --------------------------------------------------------------------------------

TEST_CASE("a context that is destroyed before what uses it names that") {
  const auto left_behind = [](const std::function<void(Context&)>& work, const std::string& words) {
    check_says(
        [&] {
          const std::unique_ptr<Context> context = make_context();
          work(*context);
        },
        words);
  };
  left_behind([](Context& context) { (new BottomHalf(context, [] {}))->schedule(); },
              "1 scheduled bottom half;");
  left_behind([](Context& context) { (new BottomHalf(context, [] {}, "flush"))->schedule(); },
              "the bottom half \"flush\"");
  left_behind([](Context& context) { (new IdleBottomHalf(context, [] {}))->schedule(); },
              "1 scheduled idle bottom half;");
  left_behind([](Context& context) { (new IdleBottomHalf(context, [] {}, "tidy"))->schedule(); },
              "the idle bottom half \"tidy\"");
  left_behind([](Context& context) { (new Timer(context, [] {}))->arm_after(1s); },
              "1 armed timer;");
  left_behind([](Context& context) { (new Timer(context, [] {}, "tick"))->arm_after(1s); },
              "the timer \"tick\";");
  left_behind(
      [](Context& context) {
        for (int i = 0; i < 2; ++i) {
          (new WallTimer(context, [] {}))->arm_at(std::chrono::system_clock::now());
        }
      },
      "2 armed timers;");
  left_behind([](Context& context) { ContextAccess(context).add(*new FakePollSource); },
              "1 poll source;");
  left_behind(
      [](Context& context) {
        Pair* pair = new Pair(make_pipe());
        ContextAccess(context).fds().wait(pair->a.get(), *new FdWaiter([](FdWaiter&, Events) {}),
                                          Events::kIn);
      },
      "who waits for descriptor");
  left_behind([](Context& context) { new WatchedFd(context, make_eventfd(0)); },
              "the owner of descriptor");
}

TEST_CASE("a context that one of its own callbacks destroys says so") {
  const auto destroyed_by_callback = [](const std::function<void(Context&)>& turn) {
    check_says(
        [&] {
          std::unique_ptr<Context> context = make_context();
          context->post([&] { context.reset(); });
          turn(*context);
        },
        "destroyed by a callback that it runs");
  };
  destroyed_by_callback([](Context& context) { context.poll(false); });
  destroyed_by_callback([](Context& context) { context.run(); });
}

TEST_CASE("a scheduled bottom half that only a posted function owns ends with that") {
  on_every_context([](Context& context) {
    auto half = std::make_shared<BottomHalf>(context, [] {});
    half->schedule();
    context.post([half] {});
    auto timer = std::make_shared<Timer>(context, [] {});
    timer->arm_after(1h);
    context.set_fd_handler(0, {.read = [timer] {}, .write = nullptr});
  });
}

TEST_CASE("a context that another thread runs is not destroyed here") {
  check_says(
      [] {
        std::unique_ptr<Context> context = make_context();
        std::thread([&] {
          context->bind();
          std::thread([&] { context.reset(); }).join();
        }).join();
      },
      "while its home thread lives");
}

// A connection that belongs to its own handlers, and takes leave of the context.
TEST_CASE("handlers that are still set are destroyed with the context, which they may still use") {
  struct Connection {
    ~Connection() {
      context.set_fd_handler(pair.a.get(), {});
      context.post([&ended = ended] { ended = -1; });  // is not called any more
      ++ended;
    }
    Context& context;
    int& ended;
    Pair pair = make_pipe();
  };
  int ended = 0;
  on_every_context([&](Context& context) {
    ended = 0;
    const std::shared_ptr<Connection> connection(new Connection{context, ended});
    context.set_fd_handler(connection->pair.a.get(),
                           {.read = [connection] {}, .write = [connection] {}});
    context.poll(false);
  });
  CHECK(ended == 1);
}

}  // namespace
}  // namespace coaio::testing
