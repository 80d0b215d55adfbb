#include "backends/io_uring_monitor.h"

#include <liburing.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
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
#include "backends/unique_fd.h"
#include "backends/watch_table.h"

namespace coaio {
namespace {

constexpr unsigned kSubmissions = 256;
// Room for a burst of events between two waits; more than that overflows into kernel memory and costs
// the multishot requests that were hit.
constexpr unsigned kCompletions = 4096;

// The user data of removals: no watch has it, since requests are numbered from 1.
constexpr std::uint64_t kNobody = 0;

struct UringWatch : Watch {
  bool in_flight = false;             // the ring holds a poll request,
  std::uint32_t request = 0;          // of this number,
  int told_fd = -1;                   // for this descriptor,
  std::uint32_t told_generation = 0;  // under this generation,
  Events told_interest = Events::kNone;  // with these bits
};

class UringMonitor final : public FdMonitor {
 public:
  UringMonitor() { ring_.ring_fd = -1; }
  ~UringMonitor() override {
    if (ring_.ring_fd >= 0) {
      io_uring_queue_exit(&ring_);
    }
  }

  // Returns an errno.
  int set_up() {
    // From the cheapest way to run completions to the oldest. Rings are made disabled, and enabled by
    // the first wait: SINGLE_ISSUER binds a ring to the thread that enables it.
    constexpr std::array<unsigned, 3> kLadder = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};
    int error = 0;
    for (const unsigned flags : kLadder) {
      io_uring_params params{};
      params.flags = flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
      params.cq_entries = kCompletions;
      error = -io_uring_queue_init_params(kSubmissions, &ring_, &params);
      if (error != EINVAL) {
        break;
      }
    }
    if (error != 0) {
      ring_.ring_fd = -1;
      return error;
    }
    constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;
    return (ring_.features & kNeeded) == kNeeded ? 0 : EOPNOTSUPP;
  }

  absl::string_view name() const override { return "io_uring"; }

  // --- change ---------------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    watches_.arm(fd, key, interest, trigger);
  }

  void want(Key key, Events interest) override {
    UringWatch* watch = watches_.find(key);
    if (watch == nullptr || watch->in_flight) {
      return;
    }
    watch->interest |= interest;
    watches_.touch(key.slot);
  }

  void disarm(Key key) override { watches_.disarm(key); }

  // --- wait -----------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<Ready>& ready) override {
    if (absl::Status status = enable(); !status.ok()) {
      return status;
    }
    const std::size_t before = ready.size();
    if (int error = apply_changes(ready); error != 0) {
      return errno_status(error, "io_uring_enter");
    }
    watches_.report_unpollable(ready);
    if (ready.size() != before) {
      timeout = std::chrono::nanoseconds(0);
    }
    const bool finite = timeout != kForever;
    const auto until = finite && timeout.count() > 0 ? Clock::now() + timeout : Clock::time_point();
    for (;;) {
      const int error = enter(timeout);
      reap(ready);
      switch (error) {
        case 0:
          break;
        case ETIME:
        case EINTR:
        case EAGAIN:  // memory is short: an early return, and the next wait tries again
        case EBUSY:   // completions were backed up: reaped by now
          return absl::OkStatus();
        default:
          return errno_status(error, "io_uring_enter");
      }
      if (ready.size() != before || timeout.count() <= 0) {
        return absl::OkStatus();
      }
      // Only leftovers of removed watches ended the sleep: sleep through the rest of it.
      if (finite) {
        timeout = std::max(until - Clock::now(), std::chrono::nanoseconds(0));
      }
    }
  }

  Peek peek() const override {
    if (kernel_asks() || io_uring_cq_ready(&ring_) != 0 || watches_.has_unpollable()) {
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
        return errno_status(error, "io_uring_register_eventfd");
      }
      event_ = std::move(event);
    }
    return event_.get();
  }

 private:
  using Clock = std::chrono::steady_clock;

  absl::Status enable() {
    if (enabled_) {
      return absl::OkStatus();
    }
    // Not io_uring_enable_rings(): Debian's shared liburing 2.3 does not export it.
    const int result = io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (result < 0) {
      return errno_status(-result, "io_uring_register(ENABLE_RINGS)");
    }
    enabled_ = true;
    return absl::OkStatus();
  }

  // --- telling the kernel ---------------------------------------------------------------------------

  // Returns an errno.
  int apply_changes(std::vector<Ready>& ready) {
    int error = 0;
    watches_.apply_changes([&](std::uint32_t slot, UringWatch& watch) {
      if (watch.unpollable) {
        watches_.list_unpollable(slot);
        return true;
      }
      error = apply(slot, watch, ready);
      return error == 0;
    });
    return error;
  }

  int apply(std::uint32_t slot, UringWatch& watch, std::vector<Ready>& ready) {
    const bool wanted = watch.live && any(watch.interest);
    const bool as_told = watch.told_fd == watch.fd && watch.told_generation == watch.generation &&
                         watch.told_interest == watch.interest;
    if (watch.in_flight && !(wanted && as_told)) {
      io_uring_sqe* sqe = next_sqe(ready);
      if (sqe == nullptr) {
        return submit_error_;
      }
      // By number: removal by descriptor costs ten times as much. Only a failure is worth a report,
      // and the one there is, ENOENT, means that the request has completed by itself.
      io_uring_prep_poll_remove(sqe, user_data(slot, watch.request));
      sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
      io_uring_sqe_set_data64(sqe, kNobody);
      watch.in_flight = false;
    }
    if (wanted && !watch.in_flight) {
      io_uring_sqe* sqe = next_sqe(ready);
      if (sqe == nullptr) {
        return submit_error_;
      }
      if (watch.trigger == Trigger::kEdge) {
        io_uring_prep_poll_multishot(sqe, watch.fd, poll_bits(watch.interest));
      } else {
        io_uring_prep_poll_add(sqe, watch.fd, poll_bits(watch.interest));
      }
      watch.request = next_request();
      watch.in_flight = true;
      watch.told_fd = watch.fd;
      watch.told_generation = watch.generation;
      watch.told_interest = watch.interest;
      io_uring_sqe_set_data64(sqe, user_data(slot, watch.request));
    }
    return 0;
  }

  // A full submission ring is submitted on the spot. Null if the kernel refuses; submit_error_ says why.
  io_uring_sqe* next_sqe(std::vector<Ready>& ready) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    for (int tries = 0; sqe == nullptr && tries < 2; ++tries) {
      const int result = io_uring_submit(&ring_);
      submit_error_ = result < 0 ? -result : EBUSY;
      if (submit_error_ == EBUSY) {
        reap(ready);  // the completions are backed up
      }
      sqe = io_uring_get_sqe(&ring_);
    }
    return sqe;
  }

  static std::uint64_t user_data(std::uint32_t slot, std::uint32_t request) {
    return std::uint64_t{request} << 32 | slot;
  }

  std::uint32_t next_request() {
    if (++last_request_ == 0) {
      ++last_request_;
    }
    return last_request_;
  }

  // --- hearing from it ------------------------------------------------------------------------------

  // The kernel has events that it publishes only when we enter.
  bool kernel_asks() const {
    return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  // Submits, lets the kernel publish, and sleeps if there is nothing to report. Returns an errno.
  int enter(std::chrono::nanoseconds timeout) {
    if (timeout.count() > 0 && !kernel_asks() && io_uring_cq_ready(&ring_) == 0) {
      const timespec limit = to_timespec(timeout);
      __kernel_timespec kernel_limit{.tv_sec = limit.tv_sec, .tv_nsec = limit.tv_nsec};
      io_uring_cqe* unused = nullptr;
      return std::max(0, -io_uring_submit_and_wait_timeout(
                             &ring_, &unused, 1, timeout == kForever ? nullptr : &kernel_limit, nullptr));
    }
    if (kernel_asks() || io_uring_sq_ready(&ring_) != 0) {
      return std::max(0, -io_uring_submit_and_get_events(&ring_));
    }
    return 0;
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
    const auto request = static_cast<std::uint32_t>(cqe.user_data >> 32);
    if (cqe.user_data == kNobody || slot >= watches_.size() || !watches_[slot].in_flight ||
        watches_[slot].request != request) {
      return;  // of a watch that was changed or removed
    }
    UringWatch& watch = watches_[slot];
    watch.in_flight = (cqe.flags & IORING_CQE_F_MORE) != 0;
    if (!watch.live || watch.told_generation != watch.generation) {
      return;  // disarmed since the ring was told
    }
    if (cqe.res < 0) {
      fail(slot, watch, -cqe.res, ready);
      return;
    }
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
    } else if (watch.trigger == Trigger::kLevel) {
      watches_.touch(slot);  // asks again with the next wait: the kernel has no level-triggered poll
    }
    ready.push_back({.key = {slot, watch.generation}, .events = events_of(static_cast<std::uint32_t>(cqe.res))});
  }

  void fail(std::uint32_t slot, UringWatch& watch, int error, std::vector<Ready>& ready) {
    switch (error) {
      case EINVAL:  // the file has no poll operation; a multishot request says so instead of firing
      case EPERM:
      case EOPNOTSUPP:
        watches_.list_unpollable(slot);
        return;
      case ECANCELED:  // by nobody we know: ask again
        watches_.touch(slot);
        return;
      default:
        watch.interest = Events::kNone;
        ready.push_back({.key = {slot, watch.generation},
                         .events = error == EBADF ? Events::kInvalid : Events::kError});
    }
  }

  io_uring ring_{};
  bool enabled_ = false;
  int submit_error_ = 0;
  std::uint32_t last_request_ = 0;
  WatchTable<UringWatch> watches_;
  UniqueFd event_;
};

// --- support ----------------------------------------------------------------------------------------

std::string likely_cause(int error) {
  std::string sysctl = "absent";
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> sysctl;
  switch (error) {
    case ENOSYS:
      return "; the kernel has no io_uring, or a seccomp filter hides it";
    case EPERM:
    case EACCES:
      return absl::StrCat("; sysctl kernel.io_uring_disabled is ", sysctl,
                          sysctl == "0" || sysctl == "absent"
                              ? ", so a seccomp filter is the likely cause (containers install one)"
                              : ": set it to 0, or run with CAP_SYS_ADMIN if it is 1");
    case EOPNOTSUPP:
      return "; the kernel is older than 5.17";
    case ENOMEM:
      return "; raise RLIMIT_MEMLOCK (ulimit -l)";
    default:
      return "";
  }
}

absl::Status refusal(int error, const char* call) {
  const absl::Status status = errno_status(error, call);
  return absl::Status(status.code(), absl::StrCat(status.message(), likely_cause(error)));
}

absl::Status probe() {
  io_uring ring{};
  if (int error = -io_uring_queue_init(2, &ring, 0); error != 0) {
    return refusal(error, "io_uring_setup");
  }
  io_uring_prep_nop(io_uring_get_sqe(&ring));
  const int submitted = io_uring_submit_and_wait(&ring, 1);
  io_uring_queue_exit(&ring);
  return submitted < 0 ? refusal(-submitted, "io_uring_enter") : absl::OkStatus();
}

}  // namespace

const absl::Status& io_uring_support() {
  static const absl::Status& status = *new absl::Status(probe());
  return status;
}

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor() {
  if (!io_uring_support().ok()) {
    return io_uring_support();
  }
  auto monitor = std::make_unique<UringMonitor>();
  if (int error = monitor->set_up(); error != 0) {
    return refusal(error, "io_uring_setup");
  }
  return monitor;
}

}  // namespace coaio
