// WaitOutcome: how one wait of the loop went, for the poll budgets. The time of handlers is not in
// it.

#ifndef COAIO_RUNTIME_POLLING_WAIT_OUTCOME_H_
#define COAIO_RUNTIME_POLLING_WAIT_OUTCOME_H_

#include <chrono>

namespace coaio::internal {

struct WaitOutcome {
  // The sleep before late polling (late_polling.h). Zero with every other kind of polling.
  std::chrono::nanoseconds slept{0};

  // User-space polling before the loop blocked.
  std::chrono::nanoseconds polled{0};

  // The time in the kernel after that, and in a poll before a timer. Zero if polling found the
  // event before the loop blocked.
  std::chrono::nanoseconds blocked{0};

  // False if the event came in the poll before a timer: then `blocked` holds no wake from sleep.
  bool woken = true;

  // True if an event ended the wait. False if a timer of the loop did, whose time was known.
  bool by_event = true;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_WAIT_OUTCOME_H_
