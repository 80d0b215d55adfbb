// FakeMonitor: a back end without a kernel. A test says what each descriptor shows, and what
// sleeping is.
//
//   FakeMonitor monitor;
//   monitor.arm(7, key, Events::kIn, Trigger::kLevel);   // 7 need not be open
//   monitor.show(7, Events::kIn);
//   monitor.wait(FdMonitor::kForever, ready);            // reports key
//
// It is written from backends/README.md alone and passes the contract test on poll(2): the shortest
// reading of what a back end has to do.
//
// Threads: one.

#ifndef COAIO_TESTS_SUPPORT_FAKE_MONITOR_H_
#define COAIO_TESTS_SUPPORT_FAKE_MONITOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"

namespace coaio::testing {

class FakeMonitor final : public FdMonitor {
 public:
  // What a descriptor shows now, of what is asked and of kFailure.
  using Look = std::function<Events(int fd, Events asked)>;
  // Sleeps at most this long and says how long it was. Zero is an interruption: it ends the wait.
  using Sleep = std::function<std::chrono::nanoseconds(std::chrono::nanoseconds)>;

  // Shows what show() says; a sleep takes no time, and one without end fails the test.
  FakeMonitor();
  FakeMonitor(Look look, Sleep sleep) : look_(std::move(look)), sleep_(std::move(sleep)) {}

  // --- script -----------------------------------------------------------------------------------

  // From now on; Events::kNone is the state of a descriptor that was never shown.
  void show(int fd, Events events) { shown_[fd] = events; }

  // Runs whenever a wait would sleep: it may show something, or advance a clock.
  void on_sleep(Sleep sleep) { sleep_ = std::move(sleep); }

  // Until it is OK again, every wait returns this and reports nothing.
  void refuse(absl::Status status) { refusal_ = std::move(status); }

  int waits() const { return waits_; }

  // --- FdMonitor --------------------------------------------------------------------------------

  absl::string_view name() const override { return "fake"; }
  void arm(int fd, Key key, Events interest, Trigger trigger) override;
  void want(Key key, Events interest) override;
  void disarm(Key key) override;
  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) override;
  Peek peek() const override;
  absl::StatusOr<int> pollable_fd() override;

 private:
  struct Watch {
    int fd = -1;
    std::uint32_t generation = 0;
    Trigger trigger = Trigger::kOneShot;
    Events interest = Events::kNone;
    Events wanted = Events::kNone;   // kEdge: of the interest
    Events lasting = Events::kNone;  // kEdge: failures that were reported and have not gone since
  };

  Watch* find(Key key);
  Events seen_on(const Watch& watch) const;
  void report(std::vector<FdEvent>& ready);

  std::map<std::uint32_t, Watch> watches_;  // by slot
  std::map<int, Events> shown_;
  Look look_;
  Sleep sleep_;
  absl::Status refusal_;
  int waits_ = 0;
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_FAKE_MONITOR_H_
