// ContextAccess: what the library's own classes ask of a context.
//
// Users have BottomHalf, Timer, WallTimer, ScopedPollSource, WatchedFd and the awaitables instead,
// which keep the rules of the intrusive nodes.
//
// Threads: the home thread, unless a function says otherwise.
// Lifetime: the context outlives the object, and the nodes outlive their stay.

#ifndef COAIO_RUNTIME_CONTEXT_ACCESS_H_
#define COAIO_RUNTIME_CONTEXT_ACCESS_H_

#include "runtime/activity.h"
#include "runtime/context.h"
#include "runtime/fd_table.h"
#include "runtime/poll_source.h"
#include "runtime/run_queue.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio::internal {

class ContextAccess {
 public:
  explicit ContextAccess(Context& context) : context_(context) {}

  // --- nodes that run ---------------------------------------------------------------------------

  // Any thread. Queues the node, which runs in the next step for bottom halves. Does nothing if the
  // node is queued already.
  void schedule(RunNode& node) const { context_.schedule(node); }

  // Any thread, also in a signal handler.
  void schedule_from_signal(RunNode& node) const { context_.schedule_from_signal(node); }

  // Queues the node for the first turn that finds nothing else to do, which is not counted as
  // progress; the loop sleeps at most 10 ms before it. A node is used with this or with schedule(),
  // not both.
  void schedule_idle(RunNode& node) const { context_.schedule_idle(node); }

  // Removes the node from the queue, also if another thread has scheduled it.
  void cancel(RunNode& node) const { context_.cancel(node); }

  // --- timers -----------------------------------------------------------------------------------

  void arm(TimerNode& node, TimePoint deadline) const { context_.arm(node, deadline); }

  // False if it was not pending.
  bool cancel(TimerNode& node) const { return context_.cancel(node); }

  // The same by the time of day: a timer fires when the clock shows its deadline, however it got
  // there. A timer is armed and cancelled by one of the two kinds.
  void arm_wall(TimerNode& node, WallTime deadline) const { context_.arm_wall(node, deadline); }
  bool cancel_wall(TimerNode& node) const { return context_.cancel_wall(node); }

  // --- poll sources and descriptors -------------------------------------------------------------

  // From add() to remove() the loop polls the source in every turn, and while it waits.
  void add(PollSource& source) const { context_.add(source); }
  void remove(PollSource& source) const { context_.remove(source); }
  bool has(const PollSource& source) const { return context_.sources_.has(source); }

  FdTable& fds() const { return context_.fds(); }

  // For a caller that has ended waits in fds(): when it returns, the kernel holds no file on
  // account of a wait that has ended, so that close(2) closes the file. One call does for all of
  // them. Does nothing in a forked child.
  void settle() const { context_.settle(); }

  // --- coroutines -------------------------------------------------------------------------------

  // The coop budget. Work that completes without suspending consumes one unit before it goes on.
  // False once in a while: then the task goes through the queue, so that neither the stack nor the
  // other tasks' waiting grows without bound.
  bool consume_budget() const { return context_.consume_budget(); }

  // The loop resumes a task: it has the whole budget again.
  void refill_budget() const { context_.refill_budget(); }

  // The task that runs from now on, in the place of another one or of null; returns that. The queue
  // resets it to null when the node that it has called returns.
  //
  // While the task runs a nested turn, its function is resumed_inside_itself().
  RunNode* set_resumed(RunNode* task) const { return context_.set_resumed(task); }
  [[noreturn]] static void resumed_inside_itself(RunNode& task);

  // A task that returns here when it ends has left for another context, or is back.
  void task_left() const { context_.task_left(); }
  void task_returned() const { context_.task_returned(); }

  // --- the Watchdog -----------------------------------------------------------------------------

  // From attach_watchdog() to detach_watchdog() the loop records which callback runs, for another
  // thread to read. The Activity lasts as long as the context.
  const Activity& attach_watchdog() const { return context_.attach_watchdog(); }
  void detach_watchdog() const { context_.detach_watchdog(); }

 private:
  Context& context_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_CONTEXT_ACCESS_H_
