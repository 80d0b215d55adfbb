// IoUringRing: a submission ring and a completion ring that this process shares with the kernel,
// and the system calls on them. Private to the io_uring back end.
//
// Debian's liburing 2.3 makes the rings and writes requests into them. This class makes the system
// calls itself, because that version lacks IORING_ENTER_NO_IOWAIT and does not export a function
// that enables a ring.
//
// Threads: the thread that calls enable(). Other threads may only open and destroy a ring.

#ifndef COAIO_BACKENDS_IO_URING_RING_H_
#define COAIO_BACKENDS_IO_URING_RING_H_

#include <liburing.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coaio::internal {

class IoUringRing {
 public:
  static constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();

  // The user data of cancellations.
  static constexpr std::uint64_t kCancellation = 0;

  // The index of the oldest combination of setup flags: every kernel with poll requests accepts it.
  static constexpr std::size_t kOldestRung = 2;

  struct Size {
    unsigned submissions = 0;
    unsigned completions = 0;
  };

  struct Completion {
    std::uint64_t user_data;
    int result;
    bool last;  // the request posts no other completion
  };

  // A ring that is not open.
  IoUringRing() { ring_.ring_fd = -1; }
  IoUringRing(const IoUringRing&) = delete;
  IoUringRing& operator=(const IoUringRing&) = delete;
  IoUringRing& operator=(IoUringRing&& other) noexcept;
  ~IoUringRing() { close(); }

  // Makes the rings, disabled. Tries the combinations of setup flags from `rung` on, the newest
  // being 0. On ENOMEM it tries smaller rings, because RLIMIT_MEMLOCK bounds the memory of all
  // rings of a user. Returns the errno of the last attempt.
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

  // Cancels the request with this user data. Posts a completion only on failure: ENOENT, if the
  // request has completed.
  //
  // This is no poll removal: a poll removal fails with EALREADY for a multishot request whose event
  // is being processed, and the request would keep its file open. Cancellation by file descriptor
  // is ten times slower.
  void cancel(std::uint64_t user_data);

  // A request that completes at once.
  void add_nop() { io_uring_prep_nop(io_uring_get_sqe(&ring_)); }

  // --- the kernel -------------------------------------------------------------------------------

  // Submits the queued requests. Returns an errno.
  int submit();

  // Makes room for one request, if there is none, by submitting. Returns an errno.
  int make_room() {
    if (room() != 0) {
      return 0;
    }
    const int error = submit();
    return error != 0 ? error : room() != 0 ? 0 : EAGAIN;
  }

  // Submits the queued requests, runs the deferred completions, and sleeps until the completion
  // ring holds `wanted` entries or the timeout has passed. One system call. Returns an
  // errno, ETIME after the timeout.
  int enter(unsigned wanted, std::chrono::nanoseconds timeout);

  // The kernel has completions that it publishes only inside enter(). Relaxed: the completions are
  // read after that system call, or after the acquire load of the completion ring's tail.
  bool kernel_asks() const { return (flags() & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0; }

  // The kernel keeps completions back because the completion ring was full.
  bool overflows() const { return (flags() & IORING_SQ_CQ_OVERFLOW) != 0; }

  // --- completions ------------------------------------------------------------------------------

  unsigned ready() const { return io_uring_cq_ready(&ring_); }

  // Calls take(completion) for each completion that the ring holds now, then frees their entries.
  template <typename Take>
  void take_all(Take take) {
    const unsigned count = ready();
    const unsigned head = *ring_.cq.khead;
    for (unsigned i = 0; i < count; ++i) {
      const io_uring_cqe& entry = ring_.cq.cqes[(head + i) & ring_.cq.ring_mask];
      take(Completion{.user_data = entry.user_data,
                      .result = entry.res,
                      .last = (entry.flags & IORING_CQE_F_MORE) == 0});
    }
    io_uring_cq_advance(&ring_, count);
  }

 private:
  unsigned flags() const { return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED); }
  int set_up(Size size, unsigned flags);
  unsigned publish_requests();
  void close();

  io_uring ring_{};
  unsigned sleep_flags_ = 0;  // further flags of an io_uring_enter(2) that may sleep
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_RING_H_
