#include "runtime/fd_table.h"

#include <chrono>
#include <cstddef>
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
#include "tests/support/test_timeout.h"

namespace coaio::testing {

using namespace internal;
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

TEST_CASE("a failure wakes every waiter at once") {
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

TEST_CASE("urgent data wakes the waiter that asked for it, and not one that waits for data") {
  FdScene scene;
  Waiter reader;
  Waiter watcher;
  scene.table.wait(kFd, reader, Events::kIn);
  scene.table.wait(kFd, watcher, Events::kPriority);
  scene.show(Events::kPriority);
  scene.turn();
  CHECK(watcher.seen == Seen{Events::kPriority});
  CHECK(reader.waiting());
  scene.show(Events::kIn);
  scene.turn();
  CHECK(reader.seen == Seen{Events::kIn});
}

// With a look at each of the others for each that comes or goes, this would take minutes.
TEST_CASE("hundreds of thousands wait for one descriptor, are woken in turn, and withdraw") {
  constexpr int kCount = 400'000;
  const TestTimeout patience;
  struct Counted : FdWaiter {
    Counted() : FdWaiter([](FdWaiter& self, Events) { ++*static_cast<Counted&>(self).woken; }) {}
    int* woken = nullptr;
  };
  FdScene scene;
  int woken = 0;
  std::vector<Counted> waiters(kCount);
  for (Counted& waiter : waiters) {
    waiter.woken = &woken;
    scene.table.wait(kFd, waiter, &waiter == &waiters.back() ? Events::kOut : Events::kIn);
  }
  constexpr int kInTurn = 1000;
  scene.show(Events::kIn);
  for (int i = 0; i < kInTurn; ++i) {
    scene.turn();
  }
  CHECK(woken == kInTurn);
  for (int i = kCount - 2; i > kCount / 2; --i) {
    scene.table.remove(waiters[static_cast<std::size_t>(i)]);
  }
  scene.turn();
  CHECK(woken == kInTurn + 1);
  scene.show(Events::kHangUp);
  scene.turn();
  CHECK(woken == kCount / 2 + 2);
  CHECK(scene.silent());
}

TEST_CASE("a wait for a number far beyond all descriptors ends with kInvalid, and makes no table") {
  constexpr int kFar = 1'000'000'000;  // records for all below it would take a hundred gigabytes
  FdScene scene;
  Waiter waiter;
  Waiter withdrawn;
  int again = 0;
  waiter.then = [&] {
    if (++again < 3) {
      scene.table.wait(kFar, waiter, Events::kIn);  // is woken by the next turn, not by this one
    }
  };
  scene.table.wait(kFar, waiter, Events::kIn);
  scene.table.wait(kFar, withdrawn, Events::kOut);
  CHECK(scene.table.has_reports());
  scene.table.remove(withdrawn);
  scene.table.set_handlers(kFar, {});
  for (int turn = 1; turn <= 3; ++turn) {
    CHECK(scene.turn());
    CHECK(waiter.seen == Seen(static_cast<std::size_t>(turn), Events::kInvalid));
  }
  CHECK(withdrawn.seen.empty());
  CHECK(!scene.table.has_reports());
  CHECK(!scene.turn());
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
    "a waiter that is due when the owner gives up the descriptor learns that, and no readiness") {
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

TEST_CASE("release wakes each waiter with no event") {
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
  says([](FdScene& scene) { scene.table.own(1'000'000'000); },
       "descriptor 1000000000 gets a handler or an owner and is not open (EBADF)");
  says(
      [](FdScene& scene) {
        scene.table.set_handlers(1'000'000'000, {.read = [] {}, .write = nullptr});
      },
      "remove handlers before close()");
  says([](FdScene& scene) { scene.table.enable_external(); }, "without a disable_external");
}

}  // namespace
}  // namespace coaio::testing
