#include "backends/ppoll_monitor.h"

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/watch_table.h"

namespace coaio {
namespace {

struct PpollWatch : Watch {
  static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();

  Events wanted = Events::kNone;  // kEdge: what of the interest the owner is waiting for
  std::uint32_t index = kAbsent;  // into the array
};

// The array asks for an edge-triggered watch only what is wanted: an idle socket is always ready for
// "out". Read-hang-up comes with "in", as it does where the kernel keeps the set.
Events asked_of(const PpollWatch& watch) {
  if (watch.trigger != Trigger::kEdge || !watch.live) {
    return watch.interest;
  }
  return any(watch.wanted & Events::kIn) ? watch.wanted | (watch.interest & Events::kReadHangUp)
                                         : watch.wanted;
}

class PpollMonitor final : public FdMonitor {
 public:
  absl::string_view name() const override { return "ppoll"; }

  // --- change ---------------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    const bool again = watches_.find(key) != nullptr;
    PpollWatch& watch = watches_.arm(fd, key, interest, trigger);
    watch.wanted = again ? watch.wanted & interest : Events::kNone;
  }

  void want(Key key, Events interest) override {
    if (PpollWatch* watch = watches_.find(key)) {
      watch->wanted |= interest & watch->interest;
      watches_.touch(key.slot);
    }
  }

  void disarm(Key key) override { watches_.disarm(key); }

  // --- wait -----------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<Ready>& ready) override {
    apply_changes();
    const timespec limit = to_timespec(timeout);
    int count = ppoll(array_.data(), array_.size(), timeout == kForever ? nullptr : &limit, nullptr);
    if (count < 0) {
      return errno == EINTR ? absl::OkStatus() : errno_status(errno, "ppoll");
    }
    // Backwards, because a delivery may replace its entry by the last one.
    for (std::size_t i = array_.size(); count > 0 && i-- > 0;) {
      if (array_[i].revents != 0) {
        --count;
        deliver(slots_[i], events_of(static_cast<std::uint16_t>(array_[i].revents)), ready);
      }
    }
    return absl::OkStatus();
  }

  Peek peek() const override {
    return array_.empty() && !watches_.has_changes() ? Peek::kNothing : Peek::kCannotTell;
  }

  absl::StatusOr<int> pollable_fd() override {
    return absl::UnimplementedError("ppoll has no descriptor that stands for its set");
  }

 private:
  // --- telling the kernel ---------------------------------------------------------------------------

  void apply_changes() {
    watches_.apply_changes([this](std::uint32_t slot, PpollWatch& watch) {
      ask(slot, watch);
      return true;
    });
  }

  // Brings the entry of this watch up to date. The array stays dense.
  void ask(std::uint32_t slot, PpollWatch& watch) {
    const Events asked = asked_of(watch);
    if (!any(asked)) {
      remove(watch);
      return;
    }
    if (watch.index == PpollWatch::kAbsent) {
      watch.index = static_cast<std::uint32_t>(array_.size());
      array_.emplace_back();
      slots_.push_back(slot);
    }
    array_[watch.index] = {
        .fd = watch.fd, .events = static_cast<short>(poll_bits(asked)), .revents = 0};
  }

  void remove(PpollWatch& watch) {
    if (watch.index == PpollWatch::kAbsent) {
      return;
    }
    array_[watch.index] = array_.back();
    slots_[watch.index] = slots_.back();
    watches_[slots_[watch.index]].index = watch.index;
    watch.index = PpollWatch::kAbsent;
    array_.pop_back();
    slots_.pop_back();
  }

  // --- hearing from it ------------------------------------------------------------------------------

  void deliver(std::uint32_t slot, Events events, std::vector<Ready>& ready) {
    PpollWatch& watch = watches_[slot];
    ready.push_back({.key = {slot, watch.generation}, .events = events});
    // Hang-up and error cannot be masked, so an edge-triggered entry that has shown them leaves the
    // array until the next want().
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    // A number that is no file stays out of it until it is armed again.
    if (watch.trigger == Trigger::kOneShot || any(events & Events::kInvalid)) {
      watch.interest = Events::kNone;
    }
    if (watch.trigger != Trigger::kLevel || !any(watch.interest)) {
      ask(slot, watch);
    }
  }

  WatchTable<PpollWatch> watches_;
  std::vector<pollfd> array_;
  std::vector<std::uint32_t> slots_;  // of the entry of array_ with the same index
};

}  // namespace

std::unique_ptr<FdMonitor> make_ppoll_monitor() { return std::make_unique<PpollMonitor>(); }

}  // namespace coaio
