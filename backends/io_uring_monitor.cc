#include "backends/io_uring_monitor.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

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
#include "backends/always_ready.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_refusal.h"
#include "backends/io_uring_watch.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/unique_fd.h"
#include "backends/watch_table.h"

namespace coaio {
namespace {

// From the cheapest way to run completions to the oldest. Rings are made disabled, and enabled by the
// first wait: SINGLE_ISSUER binds a ring to the thread that enables it.
constexpr std::array<unsigned, 3> kLadder = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};

constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;

constexpr std::chrono::nanoseconds kNoSleep{0};

// The user data of removals: no request has it, since they are numbered from 1.
constexpr std::uint64_t kNobody = 0;

std::uint64_t to_user_data(std::uint32_t slot, std::uint32_t request) {
  return std::uint64_t{request} << 32 | slot;
}

// Not io_uring_enable_rings(): Debian's shared liburing 2.3 does not export it.
int enable(const io_uring& ring) {
  return io_uring_register(static_cast<unsigned>(ring.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

class IoUringMonitor final : public FdMonitor {
 public:
  IoUringMonitor() { ring_.ring_fd = -1; }
  ~IoUringMonitor() override {
    if (ring_.ring_fd >= 0) {
      io_uring_queue_exit(&ring_);
    }
  }

  // Returns an errno. Whatever it is, an older ring may be to be had.
  int set_up(const IoUringOptions& options) {
    int error = EINVAL;
    for (std::size_t rung = options.rung; error != 0 && rung < kLadder.size(); ++rung) {
      io_uring_params params{};
      params.flags = kLadder[rung] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
      params.cq_entries = options.completions;
      error = -io_uring_queue_init_params(options.submissions, &ring_, &params);
    }
    if (error != 0) {
      ring_.ring_fd = -1;
      return error;
    }
    return (ring_.features & kNeeded) == kNeeded ? 0 : EOPNOTSUPP;
  }

  absl::string_view name() const override { return "io_uring"; }

  // --- change ---------------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    watches_.arm(fd, key, interest, trigger);
    watches_.touch(key.slot);
  }

  void want(Key key, Events) override {
    // A multishot request needs no reminder, unless the kernel has ended it.
    IoUringWatch* watch = watches_.find(key);
    if (watch != nullptr && !watch->in_flight()) {
      watches_.touch(key.slot);
    }
  }

  void disarm(Key key) override {
    if (watches_.disarm(key) != nullptr) {
      watches_.touch(key.slot);
    }
  }

  // --- wait -----------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<Ready>& ready) override {
    const std::size_t before = ready.size();
    int error = watches_.has_changes() || !enabled_ ? prepare(ready) : 0;
    if (error == 0 && ready.size() == before) {
      error = enter(timeout);
    }
    reap(ready);
    if (event_.valid()) {
      settle_event();
    }
    if (error == 0) {
      error = std::exchange(refused_, 0);
    }
    return error == 0 ? absl::OkStatus() : status_of(error);
  }

  Peek peek() const override {
    if (kernel_asks() || io_uring_cq_ready(&ring_) != 0) {
      return Peek::kReady;
    }
    // A request for a ready descriptor shows nothing before it is submitted.
    return watches_.has_changes() || io_uring_sq_ready(&ring_) != 0 ? Peek::kCannotTell : Peek::kNothing;
  }

  // With DEFER_TASKRUN the ring's own descriptor does not wake a poller; an eventfd does.
  absl::StatusOr<int> pollable_fd() override {
    if (!event_.valid()) {
      UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (!event.valid()) {
        return errno_status(errno, "eventfd");
      }
      if (int error = -io_uring_register_eventfd(&ring_, event.get()); error != 0) {
        return errno_status(error, "io_uring_register(EVENTFD)");
      }
      event_ = std::move(event);
      settle_event();
    }
    return event_.get();
  }

 private:
  // --- telling the kernel ---------------------------------------------------------------------------

  // Returns an errno.
  int prepare(std::vector<Ready>& ready) {
    if (!enabled_) {
      if (int result = enable(ring_); result < 0) {
        return -result;
      }
      enabled_ = true;
    }
    int error = apply_changes();
    // What is left of removed watches would end the sleep, so it has to come first. The kernel brings a
    // few at a time.
    for (bool more = std::exchange(removed_, false); more && error == 0; more = kernel_asks()) {
      error = enter(kNoSleep);
      reap(ready);
    }
    return error;
  }

  // Returns an errno; the changes that are left then wait for the next time.
  int apply_changes() {
    int error = 0;
    watches_.apply_changes([&](std::uint32_t slot, IoUringWatch& watch) {
      error = apply(slot, watch);
      return error == 0;
    });
    return error;
  }

  int apply(std::uint32_t slot, IoUringWatch& watch) {
    if (int error = make_room(); error != 0) {
      return error;
    }
    if (watch.in_flight() && !(watch.wanted() && watch.as_told())) {
      remove(slot, watch);
    }
    if (watch.wanted() && !watch.in_flight()) {
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
    if (result < 0) {
      return -result;
    }
    return io_uring_sq_space_left(&ring_) >= kRequests ? 0 : EAGAIN;
  }

  void add(std::uint32_t slot, IoUringWatch& watch) {
    watch.tell(next_request());
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_add(sqe, watch.fd, watch.bits());
    sqe->len = watch.multishot() ? IORING_POLL_ADD_MULTI : 0;
    io_uring_sqe_set_data64(sqe, to_user_data(slot, watch.request));
  }

  // By number: a removal by descriptor costs ten times as much. A cancellation, not a poll removal: the
  // latter leaves a multishot request alone (EALREADY) whose event is on its way, and with it a
  // reference that keeps a closed socket open. Only a failure is worth a report, and the one there is,
  // ENOENT, means that the request has completed by itself.
  void remove(std::uint32_t slot, IoUringWatch& watch) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_cancel64(sqe, to_user_data(slot, watch.request), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, kNobody);
    watch.request = 0;
    removed_ = true;
  }

  std::uint32_t next_request() {
    if (++last_request_ == 0) {
      ++last_request_;
    }
    return last_request_;
  }

  // --- hearing from it ------------------------------------------------------------------------------

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
    return std::max(0, -io_uring_submit_and_wait_timeout(&ring_, &unused, 1, &kernel_limit, nullptr));
  }

  static absl::Status status_of(int error) {
    switch (error) {
      case ETIME:
      case EINTR:
      case EAGAIN:  // memory is short: an early return, and the next wait tries again
      case EBUSY:   // completions were backed up: they are reaped by now
        return absl::OkStatus();
      default:
        return io_uring_refusal(error, "io_uring_enter");
    }
  }

  void reap(std::vector<Ready>& ready) {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      complete(*cqe, ready);
    }
    io_uring_cq_advance(&ring_, count);
  }

  void complete(const io_uring_cqe& cqe, std::vector<Ready>& ready) {
    const auto slot = static_cast<std::uint32_t>(cqe.user_data);
    IoUringWatch& watch = watches_[slot];
    if (watch.request != cqe.user_data >> 32 || !watch.in_flight()) {
      return;  // of a watch that was changed or removed, or a removal that came too late
    }
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
      watch.request = 0;
    }
    if (!watch.live || watch.told_generation != watch.generation) {
      return;  // changed, and the ring is not told yet
    }
    if (cqe.res < 0) {
      refuse(slot, watch, -cqe.res, ready);
      return;
    }
    const Events events =
        events_of(static_cast<std::uint32_t>(cqe.res)) & (watch.told_interest | kFailure);
    if (!any(events)) {
      wait_past(slot, watch);
      return;
    }
    ready.push_back({.key = {slot, watch.generation}, .events = events});
    if (watch.trigger != Trigger::kEdge) {  // want() looks after an edge whose request has ended
      settle(slot, watch);
    }
  }

  // After a report that nobody asked for. A file without readiness has no other to wait for.
  void wait_past(std::uint32_t slot, IoUringWatch& watch) {
    const bool again = std::exchange(watch.patient, true);
    if (!again || !is_always_ready(watch.fd)) {
      again_if_ended(slot, watch);
    }
  }

  // After a report: brings what the ring holds in line with the trigger.
  void settle(std::uint32_t slot, IoUringWatch& watch) {
    watch.patient = false;
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
    }
    // kLevel asks again with the next wait, for the kernel has no level-triggered poll request; and a
    // patient request, which is multishot, has done its work.
    if (watch.trigger == Trigger::kLevel || watch.in_flight()) {
      watch.told_interest = Events::kNone;
      watches_.touch(slot);
    }
  }

  void again_if_ended(std::uint32_t slot, const IoUringWatch& watch) {
    if (!watch.in_flight()) {
      watches_.touch(slot);
    }
  }

  void refuse(std::uint32_t slot, IoUringWatch& watch, int error, std::vector<Ready>& ready) {
    switch (error) {
      case ECANCELED:  // by nobody we know
        break;
      case EBADF:
        watch.interest = Events::kNone;
        ready.push_back({.key = {slot, watch.generation}, .events = Events::kInvalid});
        return;
      case EINVAL:  // an always ready file, asked for what it never shows
        if (is_always_ready(watch.fd)) {
          return;
        }
        [[fallthrough]];
      default:  // of the mechanism: ENOMEM, or a sandbox
        refused_ = error;
    }
    again_if_ended(slot, watch);
  }

  // Keeps the eventfd readable exactly as long as there is something to hear.
  void settle_event() {
    std::uint64_t count = 0;
    const auto drained = ::read(event_.get(), &count, sizeof count);
    if (drained < 0 && errno != EAGAIN && errno != EINTR) {
      return;  // spurious readiness is allowed
    }
    if (kernel_asks() || io_uring_cq_ready(&ring_) != 0) {
      eventfd_write(event_.get(), 1);
    }
  }

  io_uring ring_{};
  bool enabled_ = false;
  bool removed_ = false;  // requests that the kernel still has to let go of
  int refused_ = 0;       // an errno that a completion brought and wait() has not returned yet
  std::uint32_t last_request_ = 0;
  WatchTable<IoUringWatch> watches_;
  UniqueFd event_;
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
  auto monitor = std::make_unique<IoUringMonitor>();
  if (int error = monitor->set_up(options); error != 0) {
    return io_uring_refusal(error, "io_uring_setup");
  }
  return monitor;
}

}  // namespace coaio
