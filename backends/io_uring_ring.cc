#include "backends/io_uring_ring.h"

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include "backends/kernel_timeout.h"

namespace coaio::internal {
namespace {

// Combinations of setup flags, from the cheapest way to run completions to the oldest. A ring is
// made disabled and enabled by the first wait, because SINGLE_ISSUER binds it to the thread that
// enables it.
constexpr std::array<unsigned, 3> kLadder = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};

constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;

// A completion ring is not made smaller than this when memory is short.
constexpr unsigned kFewestCompletions = 32;

// Linux 6.15. Without the flag, a thread that sleeps in io_uring_enter(2) counts as waiting for a
// disk, and the CPU of an idle loop appears to spend all its time in iowait. liburing 2.3 has no
// names for the two constants.
constexpr unsigned kFeatureNoIowait = 1U << 17;
constexpr unsigned kEnterNoIowait = 1U << 7;

// Returns an errno.
int error_of(long result) { return result < 0 ? errno : 0; }

}  // namespace

IoUringRing& IoUringRing::operator=(IoUringRing&& other) noexcept {
  close();
  ring_ = other.ring_;
  sleep_flags_ = other.sleep_flags_;
  other.ring_.ring_fd = -1;
  return *this;
}

void IoUringRing::close() {
  if (ring_.ring_fd >= 0) {
    io_uring_queue_exit(&ring_);
    ring_.ring_fd = -1;
  }
}

int IoUringRing::open(Size size, std::size_t rung) {
  int error = EINVAL;
  for (; error != 0 && rung < kLadder.size(); ++rung) {
    error = set_up(size, kLadder[rung]);
    for (Size smaller = size; error == ENOMEM && smaller.completions > kFewestCompletions;) {
      smaller = {.submissions = std::max(smaller.submissions / 2, 1U),
                 .completions = smaller.completions / 2};
      error = set_up(smaller, kLadder[rung]);
    }
  }
  return error;
}

int IoUringRing::set_up(Size size, unsigned flags) {
  io_uring next{};
  io_uring_params params{};
  params.flags = flags | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
  params.cq_entries = size.completions;
  const int result = io_uring_queue_init_params(size.submissions, &next, &params);
  if (result < 0) {
    return -result;
  }
  if ((next.features & kNeeded) != kNeeded) {
    io_uring_queue_exit(&next);
    return EOPNOTSUPP;
  }
  close();
  ring_ = next;
  sleep_flags_ = (next.features & kFeatureNoIowait) != 0 ? kEnterNoIowait : 0;
  // The indirection from array slots to requests stays the identity. Some versions of liburing
  // write it with each submission, in functions that this class does not call.
  for (unsigned i = 0; ring_.sq.array != nullptr && i < ring_.sq.ring_entries; ++i) {
    ring_.sq.array[i] = i;
  }
  return 0;
}

int IoUringRing::enable() {
  return error_of(
      syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0));
}

// --- requests -----------------------------------------------------------------------------------

void IoUringRing::add_poll(int fd, std::uint32_t bits, bool multishot, std::uint64_t user_data) {
  io_uring_sqe* request = io_uring_get_sqe(&ring_);
  io_uring_prep_poll_add(request, fd, bits);
  request->len = multishot ? IORING_POLL_ADD_MULTI : 0;
  io_uring_sqe_set_data64(request, user_data);
}

void IoUringRing::cancel(std::uint64_t user_data) {
  io_uring_sqe* request = io_uring_get_sqe(&ring_);
  io_uring_prep_cancel64(request, user_data, 0);
  request->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(request, kCancellation);
}

// --- the kernel ---------------------------------------------------------------------------------

// Makes the requests visible to the kernel. Returns how many it has not taken yet. Release: the
// kernel reads the requests after it has read the tail.
unsigned IoUringRing::publish_requests() {
  io_uring_sq& queue = ring_.sq;
  queue.sqe_head = queue.sqe_tail;
  __atomic_store_n(queue.ktail, queue.sqe_tail, __ATOMIC_RELEASE);
  return queue.sqe_tail - __atomic_load_n(queue.khead, __ATOMIC_RELAXED);
}

int IoUringRing::submit() {
  return error_of(
      syscall(SYS_io_uring_enter, ring_.ring_fd, publish_requests(), 0, 0, nullptr, _NSIG / 8));
}

int IoUringRing::enter(unsigned wanted, std::chrono::nanoseconds timeout) {
  const unsigned flags = IORING_ENTER_GETEVENTS | (wanted != 0 ? sleep_flags_ : 0);
  if (wanted == 0 || timeout == kForever) {
    return error_of(syscall(SYS_io_uring_enter, ring_.ring_fd, publish_requests(), wanted, flags,
                            nullptr, _NSIG / 8));
  }
  const timespec limit = to_timespec(timeout);
  const __kernel_timespec kernel_limit{.tv_sec = limit.tv_sec, .tv_nsec = limit.tv_nsec};
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<std::uintptr_t>(&kernel_limit);
  return error_of(syscall(SYS_io_uring_enter, ring_.ring_fd, publish_requests(), wanted,
                          flags | IORING_ENTER_EXT_ARG, &argument, sizeof argument));
}

}  // namespace coaio::internal
