#include "runtime/fd_table.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/fake_monitor.h"
#include "tests/support/last_words.h"

namespace coaio::testing {
namespace {

constexpr int kFd = 7;

struct Waiter : FdWaiter {
  explicit Waiter(std::vector<Events>* s = nullptr)
      : FdWaiter(&Waiter::woken), seen(s == nullptr ? own : *s) {}
  static void woken(FdWaiter& waiter, Events events) {
    auto& self = static_cast<Waiter&>(waiter);
    self.seen.push_back(events);
    if (self.then != nullptr) {
      self.then();
    }
  }

  std::vector<Events> own;
  std::vector<Events>& seen;
  std::function<void()> then;
};

// A table on a monitor whose descriptors show what the test says.
struct Scene {
  // One turn: a wait that does not sleep, and the dispatch.
  bool turn() {
    look();
    return table.dispatch();
  }
  void look() {
    std::vector<Ready> ready;
    table.looked();
    REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
    for (const Ready& report : ready) {
      table.report(report.key, report.events);
    }
  }
  void show(Events events) { monitor.show(kFd, events); }
  // Whether the monitor has anything to report.
  bool silent() const { return monitor.peek() == Peek::kNothing; }

  FakeMonitor monitor;
  FdTable table{monitor};
};

using Seen = std::vector<Events>;

TEST_CASE("a waiter is woken once, with what was seen") {
  Scene scene;
  Waiter waiter;
  scene.table.wait(kFd, waiter, Events::kIn);
  CHECK(!scene.turn());
  scene.show(Events::kIn);
  CHECK(scene.turn());
  CHECK(waiter.seen == Seen{Events::kIn});
  CHECK(!waiter.waiting());
  CHECK(!scene.turn());
}

TEST_CASE("waiters of one direction get their turns in the order of asking") {
  Scene scene;
  std::string log;
  Waiter first;
  Waiter second;
  first.then = [&] { log += '1'; };
  second.then = [&] { log += '2'; };
  scene.table.wait(kFd, first, Events::kIn);
  scene.table.wait(kFd, second, Events::kIn);
  scene.show(Events::kIn);
  scene.turn();
  CHECK(log == "1");
  scene.turn();
  CHECK(log == "12");
}

TEST_CASE("the two directions of a descriptor wake independently") {
  Scene scene;
  Waiter reader;
  Waiter writer;
  scene.table.wait(kFd, reader, Events::kIn);
  scene.table.wait(kFd, writer, Events::kOut);
  scene.show(Events::kOut);
  scene.turn();
  CHECK(writer.seen.size() == 1);
  CHECK(reader.waiting());
  scene.show(Events::kIn);
  scene.turn();
  CHECK(reader.seen.size() == 1);
}

TEST_CASE("a failure wakes everybody at once") {
  for (const Events failure : {Events::kError, Events::kHangUp, Events::kInvalid}) {
    Scene scene;
    Waiter reader;
    Waiter other_reader;
    Waiter writer;
    scene.table.wait(kFd, reader, Events::kIn);
    scene.table.wait(kFd, other_reader, Events::kIn);
    scene.table.wait(kFd, writer, Events::kOut);
    scene.show(failure);
    scene.turn();
    CHECK(reader.seen == Seen{failure});
    CHECK(other_reader.seen == Seen{failure});
    CHECK(writer.seen == Seen{failure});
  }
}

TEST_CASE("a waiter for the end of the peer's writing is not woken by data") {
  Scene scene;
  Waiter reader;
  Waiter watcher;
  scene.table.wait(kFd, reader, Events::kIn);
  scene.table.wait(kFd, watcher, Events::kReadHangUp);
  scene.show(Events::kIn);
  scene.turn();
  CHECK(watcher.waiting());
  scene.show(Events::kIn | Events::kReadHangUp);
  scene.turn();
  CHECK(!watcher.waiting());
}

TEST_CASE("a waiter that is removed is not woken, not even by a report that is on its way") {
  Scene scene;
  Waiter waiter;
  scene.table.wait(kFd, waiter, Events::kIn);
  scene.show(Events::kIn);
  scene.look();
  scene.table.remove(waiter);
  CHECK(!scene.table.dispatch());
  CHECK(waiter.seen.empty());
  CHECK(scene.silent());
}

TEST_CASE("a wait after a removal is a new watch, for the number may stand for another file") {
  Scene scene;
  Waiter waiter;
  FdRecord& record = scene.table.own(kFd);  // only to look at the record
  scene.table.release(record);
  scene.table.wait(kFd, waiter, Events::kIn);
  const std::uint32_t before = record.generation;
  scene.table.remove(waiter);
  scene.table.wait(kFd, waiter, Events::kIn);
  CHECK(record.generation != before);
  scene.table.remove(waiter);
}

TEST_CASE("a woken waiter may end the wait of another one that is due") {
  Scene scene;
  Waiter reader;
  Waiter writer;
  reader.then = [&] { scene.table.remove(writer); };
  scene.table.wait(kFd, reader, Events::kIn);
  scene.table.wait(kFd, writer, Events::kOut);
  scene.show(Events::kHangUp);
  scene.turn();
  CHECK(reader.seen.size() == 1);
  CHECK(writer.seen.empty());
}

TEST_CASE(
    "who is due when the owner gives the descriptor up is told so, and not that it is ready") {
  Scene scene;
  Waiter reader;
  Waiter writer;
  FdRecord& record = scene.table.own(kFd);
  reader.then = [&] { scene.table.release(record); };
  scene.table.wait(record, reader, Events::kIn);
  scene.table.wait(record, writer, Events::kOut);
  CHECK(scene.table.is_waited_for(record, Events::kOut));
  scene.show(Events::kHangUp);
  scene.turn();
  CHECK(reader.seen == Seen{Events::kHangUp});
  CHECK(writer.seen == Seen{Events::kNone});
}

TEST_CASE("release wakes who waits with nothing seen") {
  Scene scene;
  Waiter waiter;
  FdRecord& record = scene.table.own(kFd);
  scene.table.wait(record, waiter, Events::kIn);
  scene.table.release(record);
  CHECK(waiter.seen == Seen{Events::kNone});
}

TEST_CASE("an owner learns which directions are worth a try again") {
  Scene scene;
  FdRecord& record = scene.table.own(kFd);
  Waiter waiter;
  record.untried = Events::kNone;
  scene.table.wait(record, waiter, Events::kIn);
  scene.show(Events::kIn | Events::kReadHangUp);
  scene.turn();
  CHECK(any(record.untried & Events::kIn));
  CHECK(!any(record.untried & Events::kOut));
  CHECK(any(record.sticky & Events::kReadHangUp));
  scene.table.release(record);
}

TEST_CASE("a nested dispatch wakes what the outer one has not come to, and nothing twice") {
  Scene scene;
  Waiter reader;
  Waiter writer;
  Waiter elsewhere;
  reader.then = [&] {
    CHECK(scene.table.has_reports());
    CHECK(scene.table.dispatch());
    CHECK(writer.seen.size() == 1);
    CHECK(elsewhere.seen.size() == 1);
  };
  scene.table.wait(kFd, reader, Events::kIn);
  scene.table.wait(kFd, writer, Events::kOut);
  scene.table.wait(kFd + 1, elsewhere, Events::kIn);
  scene.show(Events::kHangUp);
  scene.monitor.show(kFd + 1, Events::kIn);
  scene.turn();
  CHECK(reader.seen.size() == 1);
  CHECK(writer.seen.size() == 1);
  CHECK(elsewhere.seen.size() == 1);
}

// --- handlers -----------------------------------------------------------------------------------

TEST_CASE("a handler is called in each turn in which its descriptor is ready") {
  Scene scene;
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
  Scene scene;
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
  Scene scene;
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
  Scene scene;
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
  Scene scene;
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
  Scene scene;
  scene.table.set_handlers(kFd, {});
  CHECK(!scene.table.worth_a_look(0));
}

TEST_CASE("a nested turn does not call a handler that is running, and calls it afterwards again") {
  Scene scene;
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
  Scene scene;
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
  Scene scene;
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
  Scene scene;
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
  Scene scene;
  int reads = 0;
  Waiter waiter;
  scene.table.set_handlers(kFd, {.read = [&] { ++reads; }, .write = nullptr});
  scene.table.wait(kFd, waiter, Events::kIn);
  scene.show(Events::kIn);
  scene.turn();
  CHECK(reads == 1);
  CHECK(waiter.seen.size() == 1);
}

// --- generations and moves ----------------------------------------------------------------------

TEST_CASE("a report under a dead key is dropped") {
  Scene scene;
  Waiter waiter;
  scene.table.wait(kFd, waiter, Events::kIn);
  scene.table.report({.slot = kFd, .generation = 4711}, Events::kIn);
  scene.table.report({.slot = 4711, .generation = 0}, Events::kIn);
  CHECK(!scene.table.dispatch());
  scene.table.remove(waiter);
}

TEST_CASE("every watch is armed on the next monitor, and a waiting owner is heard there") {
  Scene scene;
  Waiter borrower;
  Waiter owner;
  int reads = 0;
  FdRecord& record = scene.table.own(kFd);
  scene.table.wait(record, owner, Events::kIn);
  scene.table.wait(kFd + 1, borrower, Events::kIn);
  scene.table.set_handlers(kFd + 2, {.read = [&] { ++reads; }, .write = nullptr});
  FakeMonitor next;
  scene.table.move_to(next);
  std::vector<Ready> ready;
  for (int fd = kFd; fd < kFd + 3; ++fd) {
    next.show(fd, Events::kIn);
  }
  REQUIRE(next.wait(std::chrono::nanoseconds(0), ready).ok());
  for (const Ready& report : ready) {
    scene.table.report(report.key, report.events);
  }
  scene.table.dispatch();
  CHECK(owner.seen.size() == 1);
  CHECK(borrower.seen.size() == 1);
  CHECK(reads == 1);
  scene.table.release(record);
}

// --- misuse -------------------------------------------------------------------------------------

TEST_CASE("misuse of a descriptor ends with a sentence that tells the fix") {
  const auto says = [](const std::function<void(Scene&)>& work, const char* words) {
    const std::string said = last_words([&] {
      Scene scene;
      work(scene);
    });
    CAPTURE(said);
    CHECK(said.find(words) != std::string::npos);
  };
  says([](Scene& scene) { scene.table.set_handlers(-1, {}); }, "negative number");
  says(
      [](Scene& scene) {
        scene.table.own(kFd);
        scene.table.own(kFd);
      },
      "second owner");
  says(
      [](Scene& scene) {
        scene.table.own(kFd);
        scene.table.set_handlers(kFd, {});
      },
      "use the stream");
  says(
      [](Scene& scene) {
        Waiter waiter;
        scene.table.own(kFd);
        scene.table.wait(kFd, waiter, Events::kIn);
      },
      "by its number");
  says(
      [](Scene& scene) {
        Waiter waiter;
        scene.table.wait(kFd, waiter, Events::kIn);
        scene.table.wait(kFd + 1, waiter, Events::kIn);
      },
      "one waiter waits for two");
  says([](Scene& scene) { scene.table.enable_external(); }, "without a disable_external");
}

}  // namespace
}  // namespace coaio::testing
