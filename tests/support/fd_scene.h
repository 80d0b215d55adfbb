// FdScene: an FdTable on a FakeMonitor, so that a test decides what each descriptor shows.
//
//   FdScene scene;
//   Waiter waiter;
//   scene.table.wait(kFd, waiter, Events::kIn);
//   scene.show(Events::kIn);
//   CHECK(scene.turn());                       // the waiter has been woken

#ifndef COAIO_TESTS_SUPPORT_FD_SCENE_H_
#define COAIO_TESTS_SUPPORT_FD_SCENE_H_

#include <chrono>
#include <functional>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "runtime/fd_table.h"
#include "tests/support/fake_monitor.h"

namespace coaio::testing {

inline constexpr int kFd = 7;

// Writes down the events that it is woken with.
struct Waiter : internal::FdWaiter {
  explicit Waiter(std::vector<Events>* s = nullptr)
      : internal::FdWaiter(&Waiter::woken), seen(s == nullptr ? own : *s) {}
  static void woken(internal::FdWaiter& waiter, Events events) {
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

struct FdScene {
  // One turn: a wait that does not sleep, and the dispatch.
  bool turn() {
    look();
    return table.dispatch();
  }
  void look() {
    std::vector<FdEvent> ready;
    table.looked();
    REQUIRE(monitor.wait(std::chrono::nanoseconds(0), ready).ok());
    for (const FdEvent& report : ready) {
      table.report(report.key, report.events);
    }
  }
  void show(Events events) { monitor.show(kFd, events); }
  // Whether the monitor has anything to report.
  bool silent() const { return monitor.peek() == Peek::kNothing; }

  FakeMonitor monitor;
  internal::FdTable table{monitor};
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_FD_SCENE_H_
