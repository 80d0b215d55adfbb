// Wakeup: how other threads and signal handlers get the attention of a loop.
//
// One word in three states. The loop is `polling` while it runs or looks for work in user space,
// `sleeping` from shortly before it blocks, and `notified` from a notify() until it accepts. Only a
// notify() that finds it sleeping pays for a system call.
//
// The loop:   if (wakeup.announce_sleep()) wait(fd());   accept();   look at the queues
// The waker:  put something into a queue;   notify()
//
// Threads: notify() anywhere, also in a signal handler (it keeps errno); the rest on the home
// thread.

#ifndef COAIO_RUNTIME_WAKEUP_H_
#define COAIO_RUNTIME_WAKEUP_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "backends/unique_fd.h"

namespace coaio {

class Wakeup {
 public:
  // Makes the eventfd. Fails with the errno of eventfd().
  absl::Status open();

  // The descriptor that becomes readable for a sleeper, to be watched edge-triggered; drain() after
  // it was reported.
  int fd() const { return event_.get(); }
  void drain();

  // What the caller wrote before is seen by the loop after its next accept(). Returns whether it
  // had to wake a sleeper.
  bool notify();

  // Relaxed: a hint for the loop that polls. accept() is what synchronises.
  bool notified() const { return state_.load(std::memory_order_relaxed) == State::kNotified; }

  // Says that the loop is about to block. False if it has been notified since the last accept(): it
  // must not block.
  bool announce_sleep();

  // Withdraws the announcement, and makes visible what was written before each notify() so far.
  void accept();

 private:
  enum class State : std::uint32_t { kPolling, kSleeping, kNotified };

  // All changes are exchanges of this one word, so they have one order, and of a notify() and an
  // announce_sleep() the later one sees the earlier: the loop does not block, or the waker writes.
  // No second location is involved, and therefore no fence. docs/model/ checks it.
  std::atomic<State> state_{State::kPolling};
  UniqueFd event_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_WAKEUP_H_
