#include "runtime/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/check.h"
#include "backends/errno_status.h"
#include "backends/unique_fd.h"

namespace coaio::internal {

absl::StatusOr<UniqueFd> Wakeup::make_event() {
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) {
    return errno_status(errno, "eventfd");
  }
  return event;
}

absl::Status Wakeup::open() {
  absl::StatusOr<UniqueFd> event = make_event();
  if (!event.ok()) {
    return event.status();
  }
  open(*std::move(event));
  return absl::OkStatus();
}

bool Wakeup::notify() {
  // Release: pairs with the acquire in accept(). A later notify() continues the release sequence,
  // so that accept() sees what every waker wrote. The exchange happens even if the state is
  // kNotified already: without it our writes would not be ordered before the accept() that consumes
  // it.
  if (state_.exchange(State::kNotified, std::memory_order_release) != State::kSleeping) {
    return false;
  }
  const int saved = errno;
  const std::uint64_t one = 1;
  // EAGAIN would mean that the counter is full, and then the descriptor is readable.
  const bool written = write(event_.get(), &one, sizeof one) == sizeof one || errno == EAGAIN;
  check(written,
        "the eventfd of a context cannot be written: was its descriptor closed by others?");
  errno = saved;
  return true;
}

bool Wakeup::wake_sleeper() {
  // Sequentially consistent: pairs with announce_sleep(). Our push came before this load; if the
  // load does not see the announcement, then the loop's look at the queue, which follows the
  // announcement, sees the push.
  return state_.load(std::memory_order_seq_cst) == State::kSleeping && notify();
}

bool Wakeup::announce_sleep() {
  State expected = State::kPolling;
  // Sequentially consistent: pairs with wake_sleeper(). For notify() relaxed would do: nothing is
  // published by it, and what a notify() published is acquired in accept(), which follows in either
  // case.
  return state_.compare_exchange_strong(expected, State::kSleeping, std::memory_order_seq_cst,
                                        std::memory_order_relaxed);
}

void Wakeup::withdraw() {
  State expected = State::kSleeping;
  // Relaxed: publishes nothing, and what a notify() published is acquired in accept(). A
  // wake_sleeper() that still sees the announcement writes once for nothing.
  state_.compare_exchange_strong(expected, State::kPolling, std::memory_order_relaxed,
                                 std::memory_order_relaxed);
}

void Wakeup::accept() {
  if (state_.load(std::memory_order_relaxed) == State::kPolling) {
    return;  // no notification, no announcement: spares a busy loop the exchange
  }
  // Acquire: pairs with the release in notify().
  state_.exchange(State::kPolling, std::memory_order_acquire);
}

void Wakeup::drain() {
  std::uint64_t count = 0;
  // EAGAIN: an earlier drain() took this wake-up along.
  const bool drained = read(event_.get(), &count, sizeof count) == sizeof count || errno == EAGAIN;
  check(drained, "the eventfd of a context cannot be read: was its descriptor closed by others?");
}

}  // namespace coaio::internal
