#include <cstdint>
#include <memory>
#include <string>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "runtime/fd_table.h"
#include "tests/support/fd_scene.h"

namespace coaio::testing {

using namespace internal;
namespace {

TEST_CASE("a handler is called in each turn in which its descriptor is ready") {
  FdScene scene;
  int reads = 0;
  scene.table.set_handlers(kFd, {.read = [&] { ++reads; }, .write = nullptr});
  CHECK(!scene.turn());
  scene.show(Events::kIn | Events::kOut);
  CHECK(scene.turn());
  CHECK(scene.turn());
  CHECK(reads == 2);
}

TEST_CASE(
    "handlers are called in the order of the reports, and those set meanwhile in the next turn") {
  FdScene scene;
  std::string log;
  for (const char name : {'a', 'b', 'c'}) {
    scene.table.set_handlers(name, {.read =
                                        [&, name] {
                                          log += name;
                                          scene.table.set_handlers(
                                              'd', {.read = [&] { log += 'd'; }, .write = nullptr});
                                        },
                                    .write = nullptr});
  }
  scene.monitor.show('d', Events::kIn);
  for (const char name : {'b', 'c', 'a'}) {
    const std::uint32_t slot = static_cast<unsigned char>(name);
    scene.table.report({.slot = slot, .generation = 1}, Events::kIn);
  }
  CHECK(scene.table.dispatch());
  CHECK(log == "bca");
  scene.turn();
  CHECK(log == "bcad");
}

TEST_CASE("a handler that removes itself while reading gets no write call in the same pass") {
  FdScene scene;
  std::string log;
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       log += 'r';
                                       scene.table.set_handlers(kFd, {});
                                     },
                                 .write = [&] { log += 'w'; }});
  scene.show(Events::kHangUp);
  scene.turn();
  CHECK(log == "r");
  CHECK(scene.silent());
}

TEST_CASE(
    "a replaced handler is kept until it has returned, and what was reported to it is not for the "
    "new one") {
  FdScene scene;
  std::string log;
  std::string own_state = "alive";
  scene.table.set_handlers(kFd, {.read =
                                     [&, own_state] {
                                       scene.table.set_handlers(
                                           kFd, {.read = [&] { log += 'n'; }, .write = nullptr});
                                       log += own_state;
                                     },
                                 .write = nullptr});
  scene.show(Events::kIn);
  scene.turn();
  CHECK(log == "alive");
  scene.turn();
  CHECK(log == "aliven");
}

TEST_CASE(
    "a handler that another one removes is not called any more, though its event was collected") {
  FdScene scene;
  int calls = 0;
  for (const int fd : {kFd, kFd + 1}) {
    const int other = fd == kFd ? kFd + 1 : kFd;
    scene.table.set_handlers(fd, {.read =
                                      [&, other] {
                                        ++calls;
                                        scene.table.set_handlers(other, {});
                                      },
                                  .write = nullptr});
    scene.monitor.show(fd, Events::kIn);
  }
  scene.turn();
  CHECK(calls == 1);
}

TEST_CASE("removing handlers that were never set does nothing") {
  FdScene scene;
  scene.table.set_handlers(kFd, {});
  CHECK(!scene.table.worth_a_look(0));
}

TEST_CASE("a nested turn does not call a handler that is running, and calls it afterwards again") {
  FdScene scene;
  int reads = 0;
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       ++reads;
                                       if (reads == 1) {
                                         CHECK(!scene.turn());  // for nothing, once
                                         CHECK(scene.silent());
                                       }
                                     },
                                 .write = nullptr});
  scene.show(Events::kIn);
  scene.turn();
  CHECK(reads == 1);
  scene.turn();
  CHECK(reads == 2);
}

TEST_CASE(
    "an external handler is not called while externals are disabled, and costs one report at "
    "most") {
  FdScene scene;
  int reads = 0;
  int completions = 0;
  scene.table.set_handlers(kFd, {.read = [&] { ++reads; }, .write = nullptr, .external = true});
  scene.table.set_handlers(kFd + 1, {.read = [&] { ++completions; }, .write = nullptr});
  scene.show(Events::kIn);
  scene.table.disable_external();
  CHECK(!scene.turn());
  CHECK(scene.silent());
  scene.monitor.show(kFd + 1, Events::kIn);
  CHECK(scene.turn());
  CHECK(completions == 1);

  scene.table.disable_external();
  scene.table.enable_external();
  CHECK(reads == 0);
  scene.turn();
  CHECK(reads == 0);
  scene.table.enable_external();
  scene.turn();
  CHECK(reads == 1);
}

TEST_CASE("an external handler that was removed or replaced while disabled is heard as it is now") {
  FdScene scene;
  std::string log;
  scene.table.set_handlers(kFd, {.read = [&] { log += 'o'; }, .write = nullptr, .external = true});
  scene.show(Events::kIn);
  scene.table.disable_external();
  scene.turn();
  scene.table.set_handlers(kFd, {.read = [&] { log += 'n'; }, .write = nullptr, .external = true});
  scene.turn();
  CHECK(log.empty());
  scene.table.enable_external();
  scene.turn();
  CHECK(log == "n");
}

TEST_CASE(
    "an external handler that disables externals while reading gets no write call until they are "
    "enabled") {
  FdScene scene;
  std::string log;
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       log += 'r';
                                       scene.table.disable_external();
                                     },
                                 .write = [&] { log += 'w'; },
                                 .external = true});
  scene.show(Events::kIn | Events::kOut);
  scene.turn();
  scene.turn();
  CHECK(log == "r");
  scene.show(Events::kOut);
  scene.table.enable_external();
  scene.turn();
  CHECK(log == "rw");
}

TEST_CASE("handlers and waiters of one descriptor both hear of it") {
  FdScene scene;
  int reads = 0;
  Waiter waiter;
  scene.table.set_handlers(kFd, {.read = [&] { ++reads; }, .write = nullptr});
  scene.table.wait(kFd, waiter, Events::kIn);
  scene.show(Events::kIn);
  scene.turn();
  CHECK(reads == 1);
  CHECK(waiter.seen.size() == 1);
}

TEST_CASE("an event that only a waiter asked for calls no handler, and holds none back") {
  for (const bool external : {false, true}) {
    FdScene scene;
    std::string log;
    Waiter waiter;
    scene.table.set_handlers(
        kFd, {.read = [&] { log += 'r'; }, .write = [&] { log += 'w'; }, .external = external});
    scene.table.wait(kFd, waiter, Events::kPriority);
    scene.show(Events::kPriority);
    scene.turn();
    CHECK(waiter.seen.size() == 1);
    CHECK(log.empty());
    CHECK(!scene.table.suspended_handlers());
    scene.show(Events::kIn | Events::kPriority);
    scene.turn();
    CHECK(log == "r");
  }
}

// --- generations and moves ----------------------------------------------------------------------

TEST_CASE("whoever removes a handler in a turn that it nests is told when it has returned") {
  FdScene scene;
  std::string log;
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       scene.table.remove_handlers(kFd, [&] { log += 'g'; });
                                       log += 'r';
                                     },
                                 .write = nullptr});
  scene.show(Events::kIn);
  scene.turn();
  CHECK(log == "rg");
  scene.table.remove_handlers(kFd, [&] { log += 'n'; });
  CHECK(log == "rgn");
}

TEST_CASE("whoever removes the successor of a running handler is told when that one has returned") {
  FdScene scene;
  std::string log;
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       scene.table.set_handlers(kFd,
                                                                {.read = [] {}, .write = nullptr});
                                       scene.table.remove_handlers(kFd, [&] { log += 'g'; });
                                       log += 'r';
                                     },
                                 .write = nullptr});
  scene.show(Events::kIn);
  scene.turn();
  CHECK(log == "rg");
}

TEST_CASE(
    "an external handler that disables externals while it nests is heard once they are back") {
  FdScene scene;
  int reads = 0;
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       if (++reads == 1) {
                                         scene.table.disable_external();
                                         scene.turn();
                                       }
                                     },
                                 .write = nullptr,
                                 .external = true});
  scene.show(Events::kIn);
  scene.turn();
  scene.turn();
  CHECK(reads == 1);
  scene.table.enable_external();
  CHECK(scene.turn());
  CHECK(reads == 2);
}

// A program whose main loop runs inside a handler would grow for ever.
TEST_CASE("handlers that are replaced while another one runs are destroyed at once") {
  FdScene scene;
  const auto alive = std::make_shared<int>(0);
  long kept = 0;
  bool own_kept = false;
  const auto own = std::make_shared<int>(0);
  scene.table.set_handlers(kFd, {.read =
                                     [&, own] {
                                       for (int i = 0; i < 100; ++i) {
                                         scene.table.set_handlers(
                                             kFd + 1, {.read = [alive] {}, .write = nullptr});
                                         scene.monitor.show(kFd + 1, Events::kIn);
                                         scene.turn();
                                       }
                                       kept = alive.use_count();
                                       scene.table.set_handlers(kFd, {});
                                       own_kept = own.use_count() == 2;
                                     },
                                 .write = nullptr});
  scene.show(Events::kIn);
  scene.turn();
  CHECK(kept == 2);  // ours, and the last handler's
  CHECK(own_kept);
  CHECK(own.use_count() == 1);
  scene.table.set_handlers(kFd + 1, {});
  CHECK(alive.use_count() == 1);
}

TEST_CASE("a removal is told of the outermost of its handlers that are running, and of no others") {
  FdScene scene;
  std::string log;
  const auto inner = [&] {
    scene.turn();
    log += '2';
  };
  scene.table.set_handlers(kFd, {.read =
                                     [&] {
                                       scene.table.set_handlers(kFd,
                                                                {.read = inner, .write = nullptr});
                                       scene.turn();
                                       log += '1';
                                     },
                                 .write = nullptr});
  scene.table.set_handlers(kFd + 1, {.read =
                                         [&] {
                                           scene.table.remove_handlers(kFd, [&] { log += 'g'; });
                                           scene.table.remove_handlers(kFd + 2,
                                                                       [&] { log += 'h'; });
                                         },
                                     .write = nullptr});
  scene.show(Events::kIn);
  scene.look();
  scene.monitor.show(kFd + 1, Events::kIn);
  scene.table.dispatch();
  CHECK(log == "h21g");
}

// What a connection does that belongs to its own handler.
TEST_CASE("the end of a handler may change handlers, its own and others") {
  struct Owner {
    ~Owner() {
      table.set_handlers(kFd, {});
      table.set_handlers(kFd + 1, {});
      ++ended;
    }
    FdTable& table;
    int& ended;
  };
  FdScene scene;
  int ended = 0;
  const auto set = [&] {
    for (const int fd : {kFd, kFd + 1}) {
      const std::shared_ptr<Owner> owner(new Owner{scene.table, ended});
      scene.table.set_handlers(fd, {.read = [owner] {}, .write = nullptr});
    }
  };
  set();
  scene.table.set_handlers(kFd, {});
  CHECK(ended == 2);
  set();
  CHECK(scene.table.discard_handlers());
  CHECK(!scene.table.discard_handlers());
  CHECK(ended == 4);
}

}  // namespace
}  // namespace coaio::testing
