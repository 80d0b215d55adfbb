// Handlers of descriptors, and turns that they nest, on every back end.

#include <fcntl.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/polling/poll_policy.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

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

TEST_CASE(
    "a handler that is set before the context has a home thread waits for it, on any thread") {
  for (const Backend backend : available_back_ends()) {
    const TestTimeout patience;
    const std::unique_ptr<Context> context = make_context({.backend = backend});
    const Pair pipes[2] = {make_pipe(), make_pipe()};
    int heard = 0;
    bool both = false;
    const auto set = [&](const Pair& pipe) {
      context->set_fd_handler(pipe.a.get(), {.read =
                                                 [&] {
                                                   read_all(pipe.a);
                                                   both = ++heard == 2;
                                                 },
                                             .write = nullptr});
      write_all(pipe.b, "x");
    };
    std::thread([&] { set(pipes[0]); }).join();
    set(pipes[1]);
    CHECK(ContextAccess(*context).fds().watched() == 0);
    context->run_until(both);
    CHECK(heard == 2);
    for (const Pair& pipe : pipes) {
      context->set_fd_handler(pipe.a.get(), {});
    }
  }
}

// The thread sanitizer sees a change that is made by the other thread.
TEST_CASE("a thread that sets and removes handlers while another one enters run() loses none") {
  constexpr int kRounds = 30;
  for (const Backend backend : available_back_ends()) {
    const TestTimeout patience;
    for (int round = 0; round < kRounds; ++round) {
      const std::unique_ptr<Context> context = make_context({.backend = backend});
      std::atomic<int> heard{0};
      std::latch begin(2);
      std::thread other([&] {
        begin.arrive_and_wait();
        for (int i = 1; i <= 3; ++i) {
          const Pair pipe = make_pipe();
          context->set_fd_handler(pipe.a.get(), {.read =
                                                     [&] {
                                                       read_all(pipe.a);
                                                       ++heard;
                                                       heard.notify_one();
                                                     },
                                                 .write = nullptr});
          write_all(pipe.b, "x");
          while (heard < i) {
            heard.wait(i - 1);
          }
          context->remove_fd_handler_and_wait(pipe.a.get());
        }
        context->stop();
      });
      begin.arrive_and_wait();
      context->run();
      other.join();
      CHECK(heard == 3);
    }
  }
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

TEST_CASE("while (poll(false)) hears what is ready behind many handlers that are held back") {
  on_every_context([](Context& context) {
    constexpr int kClients = 300;  // more than a back end reports at once
    std::vector<UniqueFd> clients;
    int completions = 0;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(make_eventfd(1));
      context.set_fd_handler(clients.back().get(),
                             {.read = [] {}, .write = nullptr, .external = true});
    }
    const UniqueFd completion = make_eventfd(1);
    context.set_fd_handler(completion.get(), {.read =
                                                  [&] {
                                                    eventfd_t count = 0;
                                                    eventfd_read(completion.get(), &count);
                                                    ++completions;
                                                  },
                                              .write = nullptr});
    context.disable_external();
    while (context.poll(false)) {
    }
    CHECK(completions == 1);
    context.enable_external();
    for (const UniqueFd& client : clients) {
      context.set_fd_handler(client.get(), {});
    }
    context.set_fd_handler(completion.get(), {});
  });
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

TEST_CASE("disabling externals leaves a context with many descriptors on its back end") {
  on_every_context([](Context& context) {
    constexpr int kPairs = 70;
    const std::string before(context.backend());
    std::vector<Pair> pairs;
    int heard = 0;
    for (int i = 0; i < kPairs; ++i) {
      pairs.push_back(make_pipe());
    }
    for (const Pair& pair : pairs) {
      context.set_fd_handler(pair.a.get(), {.read =
                                                [&] {
                                                  read_all(pair.a);
                                                  ++heard;
                                                },
                                            .write = nullptr,
                                            .external = true});
    }
    context.disable_external();
    for (const Pair& pair : pairs) {
      write_all(pair.b, "x");
    }
    context.poll(false);
    context.poll(false);
    CHECK(heard == 0);
    context.enable_external();
    while (heard < kPairs) {
      context.poll(true);
    }
    CHECK(context.backend() == before);
    CHECK(context.stats().moves == 0);
    for (const Pair& pair : pairs) {
      context.set_fd_handler(pair.a.get(), {});
    }
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

TEST_CASE("a loop that polls hears the same handler again and again without sleeping") {
  on_every_context(
      [](Context& context) {
        constexpr int kTimes = 20;
        const Pair pair = make_pipe();
        std::atomic<int> heard{0};
        context.set_fd_handler(pair.a.get(), {.read =
                                                  [&] {
                                                    read_all(pair.a);
                                                    ++heard;
                                                  },
                                              .write = nullptr});
        std::thread partner([&] {
          for (int i = 0; i < kTimes; ++i) {
            write_all(pair.b, "x");
            while (heard == i) {
              std::this_thread::yield();
            }
          }
        });
        while (heard < kTimes) {
          context.poll(true);
        }
        partner.join();
        CHECK(context.stats().waits == 0);
        context.set_fd_handler(pair.a.get(), {});
      },
      {.polling = PollFixed{.max = 40s}, .polling_gives_way = false});
}

}  // namespace
}  // namespace coaio::testing
