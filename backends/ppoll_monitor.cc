#include "backends/ppoll_monitor.h"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/watch_table.h"

namespace coaio::internal {
namespace {

// The longest sleep of a wait while some watch has a failure that lasts.
constexpr std::chrono::milliseconds kRecheckInterval{1};

struct PpollWatch : Watch {
  static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();

  Events wanted = Events::kNone;   // kEdge: the part of the interest that the owner waits for
  Events lasting = Events::kNone;  // kEdge: failures that were reported and still hold
  bool listed = false;             // lasting_ has the slot
  std::uint32_t index = kAbsent;   // of the entry of array_

  void renew() { wanted = lasting = Events::kNone; }
};

// An idle socket is always ready for output, so an edge-triggered watch asks for the wanted events
// only.
Events asked_of(const PpollWatch& watch) {
  return watch.trigger == Trigger::kEdge ? with_read_hang_up(watch.wanted, watch.interest)
                                         : watch.interest;
}

// The kernel ignores an entry with a negative descriptor. For every other entry it reports hang-up
// and error.
pollfd entry_of(const PpollWatch& watch) {
  const Events asked = asked_of(watch);
  return {.fd = any(asked) ? watch.fd : ~watch.fd,
          .events = static_cast<short>(poll_bits(asked)),
          .revents = 0};
}

class PpollMonitor final : public FdMonitor {
 public:
  absl::string_view name() const override { return "ppoll"; }

  // --- change -----------------------------------------------------------------------------------

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
      if (any(watch->lasting)) [[unlikely]] {
        list_lasting(key.slot, *watch);
      }
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
    return lasting_.empty() ? call_ppoll(timeout, ready) : wait_beside_failures(timeout, ready);
  }

  Peek peek() const override { return array_.empty() ? Peek::kNothing : Peek::kCannotTell; }

  absl::StatusOr<int> pollable_fd() override {
    return absl::UnimplementedError("ppoll has no descriptor that stands for its set");
  }

 private:
  absl::Status call_ppoll(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) {
    const timespec limit = to_timespec(timeout);
    int count =
        ppoll(array_.data(), array_.size(), timeout == kForever ? nullptr : &limit, nullptr);
    if (count < 0) {
      return errno == EINTR ? absl::OkStatus() : ppoll_status(errno);
    }
    for (std::size_t i = 0; count > 0; ++i) {
      if (array_[i].revents != 0) {
        --count;
        deliver(i, ready);
      }
    }
    return absl::OkStatus();
  }

  // ppoll(2) takes no more entries than RLIMIT_NOFILE, so EINVAL means that the limit was lowered.
  [[gnu::noinline]] absl::Status ppoll_status(int error) const {
    rlimit limit{};
    if (error != EINVAL || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
      return errno_status(error, "ppoll");
    }
    return errno_status(
        error, "ppoll",
        absl::StrCat("there are ", array_.size(), " watches, and RLIMIT_NOFILE is ", limit.rlim_cur,
                     ": raise ulimit -n, or watch fewer descriptors"));
  }

  // --- failures that last: a socket whose error queue is not empty ------------------------------

  // POLLERR and POLLHUP end each ppoll(2) while they hold, and cannot be masked. A first ppoll(2)
  // that does not sleep therefore polls all entries, and a second one, which sleeps, leaves out the
  // entries whose failure was reported. The sleep is short, so the next wait finds their events
  // soon.
  [[gnu::noinline]] absl::Status wait_beside_failures(std::chrono::nanoseconds timeout,
                                                      std::vector<FdEvent>& ready) {
    const std::size_t before = ready.size();
    absl::Status status = call_ppoll(std::chrono::nanoseconds(0), ready);
    forget_past_failures();
    if (!status.ok() || ready.size() != before || timeout == std::chrono::nanoseconds(0)) {
      return status;
    }
    for (const std::uint32_t slot : lasting_) {
      pollfd& entry = array_[watches_[slot].index];
      entry.fd = ~watches_[slot].fd;
    }
    timeout =
        lasting_.empty() ? timeout : std::min<std::chrono::nanoseconds>(timeout, kRecheckInterval);
    status = call_ppoll(timeout, ready);
    for (const std::uint32_t slot : lasting_) {
      array_[watches_[slot].index] = entry_of(watches_[slot]);
    }
    return status;
  }

  void list_lasting(std::uint32_t slot, PpollWatch& watch) {
    if (!std::exchange(watch.listed, true)) {
      lasting_.push_back(slot);
    }
  }

  // Called after a ppoll(2) of all entries. An entry with a negative descriptor has no result, so
  // its failures are kept.
  void forget_past_failures() {
    std::erase_if(lasting_, [this](std::uint32_t slot) {
      PpollWatch& watch = watches_[slot];
      if (watch.index != PpollWatch::kAbsent && any(watch.wanted)) {
        const pollfd& entry = array_[watch.index];
        watch.lasting &= events_of(static_cast<std::uint16_t>(entry.revents));
      }
      watch.listed = watch.live && any(watch.wanted) && any(watch.lasting);
      return !watch.listed;
    });
  }

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

  // --- receiving events -------------------------------------------------------------------------

  void deliver(std::size_t index, std::vector<FdEvent>& ready) {
    pollfd& entry = array_[index];
    PpollWatch& watch = watches_[slots_[index]];
    const Events events = events_of(static_cast<std::uint16_t>(entry.revents));
    if (!any(events & ~watch.lasting)) {
      return;  // only a failure that was reported before
    }
    ready.emplace_back(Key{slots_[index], watch.generation}, events);
    if (watch.trigger == Trigger::kLevel && !any(events & Events::kInvalid)) {
      return;
    }
    // A descriptor that is not open is not polled again, for each trigger.
    if (watch.trigger == Trigger::kOneShot || any(events & Events::kInvalid)) {
      watch.interest = Events::kNone;
    }
    if (watch.trigger == Trigger::kEdge) {
      watch.lasting = events & kFailure;
      watch.wanted = any(watch.lasting) ? Events::kNone : watch.wanted & ~events;
    }
    entry = entry_of(watch);
  }

  WatchTable<PpollWatch> watches_;
  std::vector<pollfd> array_;
  std::vector<std::uint32_t> slots_;    // the slot of each entry of array_
  std::vector<std::uint32_t> lasting_;  // slots of watches that wait while a reported failure lasts
};

}  // namespace

std::unique_ptr<FdMonitor> make_ppoll_monitor() { return std::make_unique<PpollMonitor>(); }

}  // namespace coaio::internal
