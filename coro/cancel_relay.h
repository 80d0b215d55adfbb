// CancelRelay: carries a request for cancellation to a task that has moved to another context.
//
// Operations can only be listed in a source of their own context, but the source that the task was
// given (`upstream`) stays at the context where the task was started. The relay is listed in
// `upstream`, has a source of its own (`downstream_`) at the context to which the task has moved,
// and passes requests from the first to the second.
//
// - When the task moves back, it uses `upstream` again. The groups that it made there have stayed
//   listed in `upstream`.
// - A request that was made to downstream_ itself stays with the task: the sources of all later
//   homes have the same request.
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
  // At the task's home; empty while the task uses `upstream`.
  std::optional<CancelSource> downstream_;
  CancelSource& upstream_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_CANCEL_RELAY_H_
