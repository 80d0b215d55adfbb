// CancelRelay: carries a request for cancellation to a task that has moved to another context.
//
// The task's operations need a source at their own home, and the request arrives at the home of the
// source that the task was given. The relay is listed there once, and passes the request on. Back
// at that home the task uses the source that it was given again, which is also where the groups
// that it made there have stayed listed.
//
// Threads: made, and destroyed, at the home of `upstream`; follow() and leave() at the task's home.

#ifndef COAIO_CORO_CANCEL_RELAY_H_
#define COAIO_CORO_CANCEL_RELAY_H_

#include <memory>
#include <mutex>

#include "coro/cancel.h"
#include "runtime/context.h"

namespace coaio {

class CancelRelay : private CancelNode {
 public:
  explicit CancelRelay(CancelSource& upstream);

  // The task is about to move to `target`: returns the source that it uses there, until the next
  // move.
  CancelSource& follow(Context& target);

  // The task has ended: nothing is passed on any more.
  void leave();

 private:
  static void pass_on(CancelNode& node);

  // Guards the two below against pass_on(), which runs at the home of `upstream`.
  std::mutex mutex_;
  std::unique_ptr<CancelSource>
      downstream_;  // at the task's home; none where `upstream` is at home
  bool left_ = false;
  CancelSource& upstream_;
};

}  // namespace coaio

#endif  // COAIO_CORO_CANCEL_RELAY_H_
