// Wakeup: how other threads and signal handlers get the attention of a loop.
//
// One word in three states. The loop is `polling` while it runs or looks for work in user space,
// `sleeping` from shortly before it blocks, and `notified` from a notify() until it accepts. Only a
// notify() that finds it sleeping pays for a system call.
//
// The loop:   if (wakeup.announce_sleep()) wait(fd());   withdraw();   and again, or:
//             accept();   look at the queues
// The waker:  put something into a queue;   notify()
//
// A queue that the loop can see spares the word, too, while the loop is awake: the waker pushes and
// calls wake_sleeper(), and the loop looks at the queue between its announcement and its sleep.
//
// Threads: notify() anywhere, also in a signal handler (it keeps errno); the rest on the home
// thread.

#ifndef COAIO_RUNTIME_WAKEUP_H_
#define COAIO_RUNTIME_WAKEUP_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"

namespace coaio::internal {

class Wakeup {
 public:
  // Makes the eventfd. Fails with the errno of eventfd().
  absl::Status open();

  // The same in two steps, for a caller that needs to know early whether it can be made.
  static absl::StatusOr<UniqueFd> make_event();
  void open(UniqueFd event) { event_ = std::move(event); }

  // The descriptor that becomes readable for a sleeper, to be watched edge-triggered; drain() after
  // it was reported.
  int fd() const { return event_.get(); }
  void drain();

  // What the caller wrote before is seen by the loop after its next accept(). Returns whether it
  // had to wake a sleeper.
  bool notify();

  // For a waker whose push was sequentially consistent: wakes the loop if it sleeps, and writes
  // nothing if it does not, for then it looks at the queue before it sleeps. Returns whether it had
  // to.
  bool wake_sleeper();

  // Relaxed: a hint for the loop that polls. accept() is what synchronises.
  bool notified() const { return state_.load(std::memory_order_relaxed) == State::kNotified; }

  // Says that the loop is about to block. False if it has been notified since the last accept(): it
  // must not block. It must not either if a queue is filled now whose pushers call wake_sleeper().
  bool announce_sleep();

  // The sleep is over: takes the announcement back, so that no thread pays to wake a loop that is
  // awake, and so that the turn may sleep again. A notification stays until it is accepted.
  void withdraw();

  // Makes visible what was written before each notify() so far.
  void accept();

 private:
  enum class State : std::uint32_t { kPolling, kSleeping, kNotified };

  // All changes are exchanges of this one word, so they have one order, and of a notify() and an
  // announce_sleep() the later one sees the earlier: the loop does not block, or the waker writes.
  // withdraw() takes back an announcement and nothing else.
  // wake_sleeper() leaves the word alone: then it is the word and the queue, each written by one
  // side and read by the other after that, in the one order of all sequentially consistent
  // operations. docs/model/ checks both.
  std::atomic<State> state_{State::kPolling};
  UniqueFd event_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_WAKEUP_H_
