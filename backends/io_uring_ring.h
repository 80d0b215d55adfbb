// IoUringRing: a submission ring and a completion ring that this process shares with the kernel,
// and the system calls on them. Private to the io_uring back end.
//
// Debian's liburing 2.3 makes the rings and writes requests into them. The calls that enter the
// kernel are made here, because that version lacks IORING_ENTER_NO_IOWAIT and does not export the
// call that enables a ring.
//
// Threads: the thread that calls enable(); the others may only open and destroy a ring.

#ifndef COAIO_BACKENDS_IO_URING_RING_H_
#define COAIO_BACKENDS_IO_URING_RING_H_

#include <liburing.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coaio::internal {

class IoUringRing {
 public:
  static constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();

  // The user data of cancellations.
  static constexpr std::uint64_t kCancellation = 0;

  // Sets of setup flags: from this one on, kernels have had them for as long as poll requests.
  static constexpr std::size_t kOldestRung = 2;

  struct Size {
    unsigned submissions = 0;
    unsigned completions = 0;
  };

  // Not open.
  IoUringRing() { ring_.ring_fd = -1; }
  IoUringRing(const IoUringRing&) = delete;
  IoUringRing& operator=(const IoUringRing&) = delete;
  IoUringRing& operator=(IoUringRing&& other) noexcept;
  ~IoUringRing() { close(); }

  // Makes the rings, disabled. Tries the sets of setup flags from `rung` on, 0 being the newest; on
  // ENOMEM it tries smaller rings, because RLIMIT_MEMLOCK bounds the memory of all rings of a user.
  // Returns an errno; the one of the last attempt.
  int open(Size size, std::size_t rung);

  // Lets the ring take requests, and binds it to the calling thread. Returns an errno.
  int enable();

  int fd() const { return ring_.ring_fd; }
  unsigned completions() const { return ring_.cq.ring_entries; }

  // Whether the kernel runs completions only inside enter().
  bool defers_completions() const { return (ring_.flags & IORING_SETUP_DEFER_TASKRUN) != 0; }

  // --- requests ---------------------------------------------------------------------------------

  unsigned room() const { return io_uring_sq_space_left(&ring_); }
  unsigned queued() const { return io_uring_sq_ready(&ring_); }

  // Both need room for one request. A multishot request posts a completion for each event, and ends
  // with one that lacks IORING_CQE_F_MORE.
  void add_poll(int fd, std::uint32_t bits, bool multishot, std::uint64_t user_data);

  // Cancels the request with this user data. Posts a completion only on failure; the one that
  // occurs is ENOENT, when the request has completed.
  //
  // Not a poll removal: that one fails with EALREADY for a multishot request whose event is being
  // processed, and the request would keep its file open. Not by file descriptor: that is ten times
  // slower.
  void cancel(std::uint64_t user_data);

  // A request that completes at once.
  void add_nop() { io_uring_prep_nop(io_uring_get_sqe(&ring_)); }

  // --- the kernel -------------------------------------------------------------------------------

  // Submits what is queued. Returns an errno.
  int submit();

  // Submits what is queued, runs the completions that the kernel has deferred, and sleeps until the
  // completion ring holds `wanted` entries or the timeout has passed. One system call. Returns an
  // errno, ETIME after the timeout.
  int enter(unsigned wanted, std::chrono::nanoseconds timeout);

  // The kernel has completions that it publishes only inside enter(). Relaxed: what it publishes is
  // read after that system call, or behind the acquire of the completion ring's tail.
  bool kernel_asks() const { return (flags() & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0; }

  // Some of them, because the completion ring was full.
  bool overflows() const { return (flags() & IORING_SQ_CQ_OVERFLOW) != 0; }

  // --- completions ------------------------------------------------------------------------------

  unsigned ready() const { return io_uring_cq_ready(&ring_); }

  // Calls take(completion) for each of those that are there now, then frees their places.
  template <typename Take>
  void take_all(Take take) {
    const unsigned count = ready();
    const unsigned head = *ring_.cq.khead;
    for (unsigned i = 0; i < count; ++i) {
      take(ring_.cq.cqes[(head + i) & ring_.cq.ring_mask]);
    }
    io_uring_cq_advance(&ring_, count);
  }

 private:
  unsigned flags() const { return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED); }
  int set_up(Size size, unsigned flags);
  unsigned publish_requests();
  void close();

  io_uring ring_{};
  unsigned sleep_flags_ = 0;  // of io_uring_enter(2), for a call that may sleep
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_RING_H_
