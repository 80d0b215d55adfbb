// CancelRelay: carries a request for cancellation to a task that has moved to another context.
//
// The task's operations need a source at their own home, and the request arrives at the home of the
// source that the task was given. The relay is listed there once, and passes the request on. Back
// at that home the task uses the source that it was given again, which is also where the groups
// that it made there have stayed listed. A request that was made to the source of one of the task's
// homes stays with the task: every later home has a source of its own with the same request.
//
// Threads: constructed and destroyed at the home of `upstream`; follow() and leave() are called at
//   the task's home.

#ifndef COAIO_CORO_CANCEL_RELAY_H_
#define COAIO_CORO_CANCEL_RELAY_H_

#include <mutex>
#include <optional>

#include "coro/cancel.h"
#include "runtime/context.h"

namespace coaio::internal {

class CancelRelay : private CancelNode {
 public:
  explicit CancelRelay(CancelSource& upstream);

  // The task is about to move to `target`. Returns the source that the task uses there until its
  // next move, and destroys the one that it has used here. Allocates nothing.
  CancelSource& follow(Context& target);

  // The task has ended: destroys the source that it has used here. No request is passed on any
  // more.
  void leave();

 private:
  static void pass_on(CancelNode& node);

  // Guards downstream_ against pass_on(), which runs at the home of `upstream`.
  std::mutex mutex_;
  // At the task's home; none where the task uses `upstream`.
  std::optional<CancelSource> downstream_;
  CancelSource& upstream_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_CANCEL_RELAY_H_
