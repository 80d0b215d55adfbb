#include "backends/io_uring_monitor.h"

#include <liburing.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_refusal.h"
#include "backends/io_uring_watch.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/poll_now.h"
#include "backends/watch_table.h"

namespace coaio {
namespace {

// From the cheapest way to run completions to the oldest. Rings are made disabled, and enabled by
// the first wait: SINGLE_ISSUER binds a ring to the thread that enables it.
constexpr std::array<unsigned, 3> kLadder = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};

constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;

constexpr std::chrono::nanoseconds kNoSleep{0};

// The user data of removals: no request has it, since they are numbered from 1.
constexpr std::uint64_t kNobody = 0;

// Not io_uring_enable_rings(): Debian's shared liburing 2.3 does not export it.
int enable(const io_uring& ring) {
  return io_uring_register(static_cast<unsigned>(ring.ring_fd), IORING_REGISTER_ENABLE_RINGS,
                           nullptr, 0);
}

class IoUringMonitor final : public FdMonitor {
 public:
  explicit IoUringMonitor(IoUringOptions options) : options_(options) { ring_.ring_fd = -1; }
  ~IoUringMonitor() override { close_ring(); }

  // Takes the place of the ring there is, if one can be had. Returns an errno; whatever a rung
  // fails with, an older ring may be to be had.
  int open_ring(std::size_t rung) {
    io_uring next{};
    int error = EINVAL;
    for (; error != 0 && rung < kLadder.size(); ++rung) {
      io_uring_params params{};
      params.flags = kLadder[rung] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
      params.cq_entries = options_.completions;
      error = -io_uring_queue_init_params(options_.submissions, &next, &params);
    }
    if (error != 0) {
      return error;
    }
    if ((next.features & kNeeded) != kNeeded) {
      io_uring_queue_exit(&next);
      return EOPNOTSUPP;
    }
    close_ring();
    ring_ = next;
    return 0;
  }

  absl::string_view name() const override { return "io_uring"; }

  // --- change -----------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    watches_.arm(fd, key, interest, trigger);
    watches_.touch(key.slot);
  }

  void want(Key key, Events interest) override {
    if (IoUringWatch* watch = watches_.find(key)) {
      watch->wanted |= interest & watch->interest;
      // A live request needs no reminder, unless it asks for less than this.
      if (!watch->in_flight() || (watch->modest && !watch->as_told())) {
        watches_.touch(key.slot);
      }
    }
  }

  void disarm(Key key) override {
    if (watches_.disarm(key) != nullptr) {
      watches_.touch(key.slot);
    }
  }

  // --- wait -------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) override {
    if (!enabled_) {
      if (int result = enable(ring_); result < 0) {
        return io_uring_refusal(-result, "io_uring_register");
      }
      enabled_ = true;
    }
    const std::size_t before = ready.size();
    int error = 0;
    // What comes may say nothing to the owner, but ask for something else from the ring: after this
    // wait a foreign loop may sleep on it.
    for (int left = kRounds; left > 0; --left) {
      error = go_round(timeout, ready);
      if (ready.size() != before || !watches_.has_changes() || error != 0 || refused_ != 0) {
        break;
      }
      timeout = kNoSleep;
    }
    if (error == 0 && refused_ == 0) {
      return absl::OkStatus();
    }
    return io_uring_enter_status(error != 0 ? error : std::exchange(refused_, 0));
  }

  Peek peek() const override {
    if (kernel_asks() || io_uring_cq_ready(&ring_) != 0) {
      return Peek::kReady;
    }
    // A request for a ready descriptor shows nothing before it is submitted.
    return watches_.has_changes() || io_uring_sq_ready(&ring_) != 0 ? Peek::kCannotTell
                                                                    : Peek::kNothing;
  }

  // Where completions are deferred to the next call, neither the ring's descriptor wakes a sleeper
  // nor, for more than the first time, an eventfd that is registered with it, if what happens is
  // itself a signal to an eventfd. The descriptor of a ring with the older flags does.
  absl::StatusOr<int> pollable_fd() override {
    if ((ring_.flags & IORING_SETUP_DEFER_TASKRUN) != 0) {
      if (int error = replace_ring(); error != 0) {
        return io_uring_refusal(error, "io_uring_setup");
      }
    }
    return ring_.ring_fd;
  }

 private:
  // A watch that waits past what it did not ask for asks twice; a wait in which somebody cancels
  // our requests behind our back is not to be endless.
  static constexpr int kRounds = 4;

  // Tells the kernel, sleeps if there is no reason not to, and hears from it. Returns an errno.
  int go_round(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) {
    int error = 0;
    if (watches_.has_changes()) {
      const std::size_t before = ready.size();
      error = prepare(ready);
      if (ready.size() != before) {
        return error;
      }
      if (watches_.has_changes() || refused_ != 0) {
        timeout = kNoSleep;  // the ring lacks a watch, or the owner an error
      }
    }
    if (error == 0) {
      error = enter(timeout);
    }
    reap(ready);
    return error;
  }

  // --- telling the kernel -----------------------------------------------------------------------

  // Returns an errno; the changes that are left then wait for the next time.
  int prepare(std::vector<FdEvent>& ready) {
    const std::size_t before = ready.size();
    int error = 0;
    watches_.apply_changes([&](std::uint32_t slot, IoUringWatch& watch) {
      error = apply(slot, watch);
      return error == 0;
    });
    // What is left of removed watches would end the sleep, so it has to come first. The kernel
    // brings a few at a time.
    for (unsigned left = std::exchange(removed_, 0); left > 0 && error == 0; --left) {
      error = enter(kNoSleep);
      reap(ready);
      if (ready.size() != before || !kernel_asks()) {
        break;
      }
    }
    return error;
  }

  void close_ring() {
    if (ring_.ring_fd >= 0) {
      io_uring_queue_exit(&ring_);
    }
  }

  // All watches go to a ring that a foreign loop can sleep on. Returns an errno, and all stays as
  // it is.
  int replace_ring() {
    constexpr std::size_t kSleepable = 1;
    if (int error = open_ring(kSleepable); error != 0) {
      return error;
    }
    enabled_ = false;
    for (std::uint32_t slot = 0; slot < watches_.size(); ++slot) {
      if (std::exchange(watches_[slot].request, 0) != 0) {
        watches_.touch(slot);
      }
    }
    return 0;
  }

  int apply(std::uint32_t slot, IoUringWatch& watch) {
    if (int error = make_room(); error != 0) {
      return error;
    }
    const bool asks = any(watch.asked());
    if (watch.in_flight() && !(asks && watch.as_told())) {
      remove(slot, watch);
    }
    if (asks && !watch.in_flight()) {
      add(slot, watch);
    }
    return 0;
  }

  // For the two requests that a change may need. Returns an errno.
  int make_room() {
    constexpr unsigned kRequests = 2;
    if (io_uring_sq_space_left(&ring_) >= kRequests) {
      return 0;
    }
    const int result = io_uring_submit(&ring_);
    return result < 0 ? -result : io_uring_sq_space_left(&ring_) >= kRequests ? 0 : EAGAIN;
  }

  void add(std::uint32_t slot, IoUringWatch& watch) {
    watch.tell(next_request());
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_add(sqe, watch.fd, watch.bits());
    sqe->len = watch.multishot() ? IORING_POLL_ADD_MULTI : 0;
    io_uring_sqe_set_data64(sqe, watch.user_data(slot));
  }

  // By number: a removal by descriptor costs ten times as much. A cancellation, not a poll removal:
  // the latter leaves a multishot request alone (EALREADY) whose event is on its way, and with it a
  // reference that keeps a closed socket open. Only a failure is worth a report, and the one there
  // is, ENOENT, means that the request has completed by itself.
  void remove(std::uint32_t slot, IoUringWatch& watch) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_cancel64(sqe, watch.user_data(slot), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, kNobody);
    watch.request = 0;
    ++removed_;
  }

  std::uint32_t next_request() {
    last_request_ += last_request_ + 1 == 0 ? 2 : 1;  // never 0
    return last_request_;
  }

  // --- hearing from it --------------------------------------------------------------------------

  // The kernel has events that it publishes only when we enter. Relaxed: what it publishes is read
  // after that system call, or behind the acquire of the completion ring's tail.
  bool kernel_asks() const {
    return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  // Submits, lets the kernel publish, and sleeps if there is nothing to report. Returns an errno.
  int enter(std::chrono::nanoseconds timeout) {
    const bool asked = kernel_asks();
    if (timeout > kNoSleep && !asked && io_uring_cq_ready(&ring_) == 0) {
      return sleep(timeout);
    }
    if (asked || io_uring_sq_ready(&ring_) != 0) {
      return std::max(0, -io_uring_submit_and_get_events(&ring_));
    }
    return 0;
  }

  int sleep(std::chrono::nanoseconds timeout) {
    if (timeout == kForever) {
      return std::max(0, -io_uring_submit_and_wait(&ring_, 1));
    }
    const timespec limit = to_timespec(timeout);
    __kernel_timespec kernel_limit{.tv_sec = limit.tv_sec, .tv_nsec = limit.tv_nsec};
    io_uring_cqe* unused = nullptr;
    return std::max(0,
                    -io_uring_submit_and_wait_timeout(&ring_, &unused, 1, &kernel_limit, nullptr));
  }

  void reap(std::vector<FdEvent>& ready) {
    const unsigned count = io_uring_cq_ready(&ring_);
    const unsigned head = *ring_.cq.khead;
    for (unsigned i = 0; i < count; ++i) {
      complete(ring_.cq.cqes[(head + i) & ring_.cq.ring_mask], ready);
    }
    io_uring_cq_advance(&ring_, count);
  }

  void complete(const io_uring_cqe& cqe, std::vector<FdEvent>& ready) {
    const auto slot = static_cast<std::uint32_t>(cqe.user_data);
    IoUringWatch& watch = watches_[slot];
    if (watch.request != cqe.user_data >> 32 || !watch.in_flight()) {
      return;  // of a watch that was changed or removed, or a removal that came too late
    }
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
      watch.request = 0;
      watch.modest = watch.trigger == Trigger::kEdge;
    }
    if (!any(watch.interest & watch.told_interest) || watch.told_generation != watch.generation) {
      return;  // disarmed, changed or reported, and the ring is not told yet
    }
    if (cqe.res < 0) {
      refuse(slot, watch, -cqe.res, ready);
      return;
    }
    const Events events = watch.meant_by(static_cast<std::uint32_t>(cqe.res));
    if (!any(events)) {
      wait_past(slot, watch);
      return;
    }
    ready.emplace_back(Key{slot, watch.generation}, events);
    if (watch.trigger == Trigger::kEdge) {
      settle_edge(slot, watch, events);
    } else {
      settle_level(slot, watch);
    }
  }

  // After a report that nobody asked for. A file without readiness has no other to wait for. This
  // and refuse() are kept out of line for the sake of the common end.
  [[gnu::noinline]] void wait_past(std::uint32_t slot, IoUringWatch& watch) {
    if (!watch.in_flight() && !(std::exchange(watch.patient, true) && is_always_ready(watch.fd))) {
      watches_.touch(slot);
    }
  }

  // Where the kernel has ended the request, what is still wanted is asked for again; else want()
  // does it, lest a hang-up that nobody waits for be reported for ever.
  void settle_edge(std::uint32_t slot, IoUringWatch& watch, Events events) {
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    if (!watch.in_flight() && any(watch.wanted)) {
      watches_.touch(slot);
    }
  }

  // kLevel asks again with the next wait, for the kernel has no level-triggered poll request; and a
  // patient request, which is multishot, has done its work.
  void settle_level(std::uint32_t slot, IoUringWatch& watch) {
    watch.patient = false;
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
    }
    if (watch.trigger == Trigger::kLevel || watch.in_flight()) {
      watch.told_interest = Events::kNone;
      watches_.touch(slot);
    }
  }

  [[gnu::noinline]] void refuse(std::uint32_t slot, IoUringWatch& watch, int error,
                                std::vector<FdEvent>& ready) {
    switch (error) {
      case ECANCELED:  // by nobody we know
        break;
      case EBADF:
        watch.interest = Events::kNone;
        ready.emplace_back(Key{slot, watch.generation}, Events::kInvalid);
        return;
      case EINVAL:  // an always ready file, asked for what it never shows
        if (is_always_ready(watch.fd)) {
          return;
        }
        [[fallthrough]];
      default:  // of the mechanism: ENOMEM, or a sandbox
        refused_ = error;
    }
    watches_.touch(slot);  // asks again, unless the owner moves to another monitor
  }

  IoUringOptions options_;
  io_uring ring_{};
  bool enabled_ = false;
  unsigned removed_ = 0;  // requests that the kernel still has to let go of
  int refused_ = 0;       // an errno that a completion brought and wait() has not returned yet
  std::uint32_t last_request_ = 0;
  WatchTable<IoUringWatch> watches_;
};

// Each of the three calls that a ring needs may be refused by itself.
absl::Status probe() {
  io_uring ring{};
  if (int error = -io_uring_queue_init(2, &ring, IORING_SETUP_R_DISABLED); error != 0) {
    return io_uring_refusal(error, "io_uring_setup");
  }
  io_uring_prep_nop(io_uring_get_sqe(&ring));
  const int enabled = enable(ring);
  const int submitted = enabled < 0 ? 0 : io_uring_submit_and_wait(&ring, 1);
  io_uring_queue_exit(&ring);
  if (enabled < 0) {
    return io_uring_refusal(-enabled, "io_uring_register");
  }
  return submitted < 0 ? io_uring_refusal(-submitted, "io_uring_enter") : absl::OkStatus();
}

}  // namespace

const absl::Status& io_uring_support() {
  static const absl::Status& status = *new absl::Status(probe());
  return status;
}

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor(IoUringOptions options) {
  if (!io_uring_support().ok()) {
    return io_uring_support();
  }
  auto monitor = std::make_unique<IoUringMonitor>(options);
  if (int error = monitor->open_ring(options.rung); error != 0) {
    return io_uring_refusal(error, "io_uring_setup");
  }
  return monitor;
}

}  // namespace coaio
