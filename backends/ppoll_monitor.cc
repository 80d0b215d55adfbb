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

  void renew() { wanted = Events::kNone; }
};

// An idle socket is always ready for "out", so an edge-triggered watch asks for what is wanted.
Events asked_of(const PpollWatch& watch) {
  return watch.trigger == Trigger::kEdge ? with_read_hang_up(watch.wanted, watch.interest)
                                         : watch.interest;
}

// A negative number makes the kernel pass over an entry; that is the only way to hear nothing of
// hang-up and error.
pollfd entry_of(const PpollWatch& watch) {
  const Events asked = asked_of(watch);
  return {.fd = any(asked) ? watch.fd : ~watch.fd,
          .events = static_cast<short>(poll_bits(asked)),
          .revents = 0};
}

class PpollMonitor final : public FdMonitor {
 public:
  absl::string_view name() const override { return "ppoll"; }

  // --- change: the array is ours, so there is nothing to queue ----------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    PpollWatch& watch = watches_.arm(fd, key, interest, trigger);
    watch.wanted &= interest;
    if (watch.index == PpollWatch::kAbsent) {
      add(key.slot, watch);
    }
    array_[watch.index] = entry_of(watch);
  }

  void want(Key key, Events interest) override {
    if (PpollWatch* watch = watches_.find(key)) {
      watch->wanted |= interest & watch->interest;
      array_[watch->index] = entry_of(*watch);
    }
  }

  void disarm(Key key) override {
    if (PpollWatch* watch = watches_.disarm(key)) {
      remove(*watch);
    }
  }

  void settle() override {}

  // --- wait -------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) override {
    const timespec limit = to_timespec(timeout);
    int count =
        ppoll(array_.data(), array_.size(), timeout == kForever ? nullptr : &limit, nullptr);
    if (count < 0) {
      return errno == EINTR ? absl::OkStatus() : errno_status(errno, "ppoll");
    }
    for (std::size_t i = 0; count > 0; ++i) {
      if (array_[i].revents != 0) {
        --count;
        deliver(i, ready);
      }
    }
    return absl::OkStatus();
  }

  Peek peek() const override { return array_.empty() ? Peek::kNothing : Peek::kCannotTell; }

  absl::StatusOr<int> pollable_fd() override {
    return absl::UnimplementedError("ppoll has no descriptor that stands for its set");
  }

 private:
  // --- the array stays dense --------------------------------------------------------------------

  void add(std::uint32_t slot, PpollWatch& watch) {
    watch.index = static_cast<std::uint32_t>(array_.size());
    array_.emplace_back();
    slots_.push_back(slot);
  }

  void remove(PpollWatch& watch) {
    array_[watch.index] = array_.back();
    slots_[watch.index] = slots_.back();
    watches_[slots_[watch.index]].index = watch.index;
    watch.index = PpollWatch::kAbsent;
    array_.pop_back();
    slots_.pop_back();
  }

  // --- hearing from it --------------------------------------------------------------------------

  void deliver(std::size_t index, std::vector<FdEvent>& ready) {
    pollfd& entry = array_[index];
    PpollWatch& watch = watches_[slots_[index]];
    const Events events = events_of(static_cast<std::uint16_t>(entry.revents));
    ready.emplace_back(Key{slots_[index], watch.generation}, events);
    if (watch.trigger == Trigger::kLevel && !any(events & Events::kInvalid)) {
      return;
    }
    // A number that is no file is not asked again, whatever the trigger.
    if (watch.trigger == Trigger::kOneShot || any(events & Events::kInvalid)) {
      watch.interest = Events::kNone;
    }
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    entry = entry_of(watch);
  }

  WatchTable<PpollWatch> watches_;
  std::vector<pollfd> array_;
  std::vector<std::uint32_t> slots_;  // of the entry of array_ with the same index
};

}  // namespace

std::unique_ptr<FdMonitor> make_ppoll_monitor() { return std::make_unique<PpollMonitor>(); }

}  // namespace coaio
