// IoUringCancellations: the poll requests of a ring that are cancelled and have not posted their
// last completion yet. Private to the io_uring back end.

#ifndef COAIO_BACKENDS_IO_URING_CANCELLATIONS_H_
#define COAIO_BACKENDS_IO_URING_CANCELLATIONS_H_

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/io_uring_refusal.h"
#include "backends/io_uring_ring.h"

namespace coaio::internal {

class IoUringCancellations {
 public:
  IoUringCancellations() { queued_.reserve(kFirstCapacity); }

  // Queues a cancellation, which finish() submits.
  void add(std::uint64_t user_data) {
    queued_.push_back(user_data);
    ++pending_;
  }

  // Some cancelled request has not posted its last completion.
  bool any_pending() const { return pending_ != 0; }

  // Some cancellation is not submitted.
  bool any_queued() const { return !queued_.empty(); }

  // Takes a completion of no request in flight: of a cancelled request, or of a cancellation that
  // came too late.
  void retire(const IoUringRing::Completion& completion) {
    if (completion.last && completion.user_data != IoUringRing::kCancellation && pending_ != 0) {
      --pending_;
    }
  }

  // Returns when each cancelled request has posted its last completion: the kernel has released its
  // reference to the file by then. Makes one system call, unless more requests are cancelled than
  // the rings have entries, or another CPU is processing an event of one. `take()` empties the
  // completion ring and returns how many completions it held. Returns an errno.
  template <typename Take>
  int finish(IoUringRing& ring, Take take) {
    constexpr int kMostVainRounds = 10;
    constexpr std::chrono::milliseconds kPatience{10};
    take();
    int error = 0;
    // Completions of late cancellations may have overflowed, too, and would end the next sleep.
    for (int vain = 0; (any_pending() || ring.overflows()) && vain < kMostVainRounds;) {
      error = submit_to(ring);
      if (error == 0) {
        error = ring.enter(std::min(pending_, ring.completions()), kPatience);
      }
      vain = take() == 0 ? vain + 1 : 0;
      if (!io_uring_enter_status(error).ok()) {
        return error;
      }
    }
    if (!any_pending()) {
      queued_.clear();
      return 0;
    }
    // A request that the kernel was told to cancel and did not cancel is unknown to the kernel.
    pending_ = static_cast<unsigned>(queued_.size());
    return error == ETIME ? 0 : error;
  }

  // The ring is replaced: the requests went with it.
  void clear() {
    queued_.clear();
    pending_ = 0;
  }

 private:
  static constexpr std::size_t kFirstCapacity = 16;

  // Returns an errno; the remaining cancellations then stay queued.
  int submit_to(IoUringRing& ring) {
    std::size_t done = 0;
    int error = 0;
    while (done < queued_.size() && error == 0) {
      error = ring.make_room();
      if (error == 0) {
        ring.cancel(queued_[done++]);
      }
    }
    queued_.erase(queued_.begin(), queued_.begin() + static_cast<std::ptrdiff_t>(done));
    return error;
  }

  std::vector<std::uint64_t> queued_;  // user data of requests
  unsigned pending_ = 0;               // cancelled requests, without those that are retired
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_CANCELLATIONS_H_
