#include "runtime/fd_table.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/abort_message.h"
#include "tests/support/fake_monitor.h"
#include "tests/support/fd_scene.h"

namespace coaio::testing {
namespace {

using Seen = std::vector<Events>;

TEST_CASE("a waiter is woken once, with what was seen") {
  FdScene scene;
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
  FdScene scene;
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
  FdScene scene;
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
    FdScene scene;
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
  FdScene scene;
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
  FdScene scene;
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
  FdScene scene;
  Waiter waiter;
  FdRecord& record = scene.table.own(kFd);  // only to look at the record
  scene.table.release(record);
  scene.table.wait(kFd, waiter, Events::kIn);
  const std::uint32_t before = record.generation();
  scene.table.remove(waiter);
  scene.table.wait(kFd, waiter, Events::kIn);
  CHECK(record.generation() != before);
  scene.table.remove(waiter);
}

TEST_CASE("a woken waiter may end the wait of another one that is due") {
  FdScene scene;
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
  FdScene scene;
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
  FdScene scene;
  Waiter waiter;
  FdRecord& record = scene.table.own(kFd);
  scene.table.wait(record, waiter, Events::kIn);
  scene.table.release(record);
  CHECK(waiter.seen == Seen{Events::kNone});
}

TEST_CASE("an owner learns which directions are worth a try again") {
  FdScene scene;
  FdRecord& record = scene.table.own(kFd);
  Waiter waiter;
  record.mark_exhausted(Events::kIn | Events::kOut);
  scene.table.wait(record, waiter, Events::kIn);
  scene.show(Events::kIn | Events::kReadHangUp);
  scene.turn();
  CHECK(!record.is_exhausted(Events::kIn));
  CHECK(record.is_exhausted(Events::kOut));
  CHECK(!record.short_read_exhausts());
  scene.table.release(record);
}

TEST_CASE("a nested dispatch wakes what the outer one has not come to, and nothing twice") {
  FdScene scene;
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

TEST_CASE("a report under a dead key is dropped") {
  FdScene scene;
  Waiter waiter;
  scene.table.wait(kFd, waiter, Events::kIn);
  scene.table.report({.slot = kFd, .generation = 4711}, Events::kIn);
  scene.table.report({.slot = 4711, .generation = 0}, Events::kIn);
  CHECK(!scene.table.dispatch());
  scene.table.remove(waiter);
}

TEST_CASE("every watch is armed on the next monitor, and a waiting owner is heard there") {
  FdScene scene;
  Waiter borrower;
  Waiter owner;
  int reads = 0;
  FdRecord& record = scene.table.own(kFd);
  scene.table.wait(record, owner, Events::kIn);
  scene.table.wait(kFd + 1, borrower, Events::kIn);
  scene.table.set_handlers(kFd + 2, {.read = [&] { ++reads; }, .write = nullptr});
  FakeMonitor next;
  scene.table.move_to(next);
  std::vector<FdEvent> ready;
  for (int fd = kFd; fd < kFd + 3; ++fd) {
    next.show(fd, Events::kIn);
  }
  REQUIRE(next.wait(std::chrono::nanoseconds(0), ready).ok());
  for (const FdEvent& report : ready) {
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
  const auto says = [](const std::function<void(FdScene&)>& work, const char* words) {
    const std::string said = abort_message([&] {
      FdScene scene;
      work(scene);
    });
    CAPTURE(said);
    CHECK(said.find(words) != std::string::npos);
  };
  says([](FdScene& scene) { scene.table.set_handlers(-1, {}); }, "negative number");
  says(
      [](FdScene& scene) {
        scene.table.own(kFd);
        scene.table.own(kFd);
      },
      "second owner");
  says(
      [](FdScene& scene) {
        scene.table.own(kFd);
        scene.table.set_handlers(kFd, {});
      },
      "use the stream");
  says(
      [](FdScene& scene) {
        Waiter waiter;
        scene.table.own(kFd);
        scene.table.wait(kFd, waiter, Events::kIn);
      },
      "by its number");
  says(
      [](FdScene& scene) {
        Waiter waiter;
        scene.table.wait(kFd, waiter, Events::kIn);
        scene.table.wait(kFd + 1, waiter, Events::kIn);
      },
      "one waiter waits for two");
  says([](FdScene& scene) { scene.table.enable_external(); }, "without a disable_external");
}

}  // namespace
}  // namespace coaio::testing
