// BottomHalf: a function that the loop calls soon, once however often it was scheduled before that.
//
//   BottomHalf flush(context, [&] { write_out(); });
//   flush.schedule();      // from any thread
//
// Scheduled ones run in the next step of the loop, in the order of scheduling of each thread; one
// that schedules itself runs in the next turn. If two threads schedule one, its position is that of
// the first call. Scheduling allocates nothing.
//
// Threads: schedule() anywhere; schedule_from_signal() also in signal handlers, on any thread; the
//   rest on the home thread. What the scheduler wrote before is visible to the callback.
// Lifetime: the callback may schedule, cancel or delete its own bottom half; after deleting it, it
//   must not use what it captured. No thread schedules a bottom half that is being destroyed. The
//   name is what a Watchdog calls it, and outlives it.

#ifndef COAIO_RUNTIME_BOTTOM_HALF_H_
#define COAIO_RUNTIME_BOTTOM_HALF_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "runtime/call_kind.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/run_queue.h"

namespace coaio {

class BottomHalf final : private internal::NamedRunNode {
 public:
  BottomHalf(Context& context, absl::AnyInvocable<void()> callback, const char* name = nullptr)
      : internal::NamedRunNode(&BottomHalf::call, internal::CallKind::kBottomHalf, name),
        context_(context),
        callback_(std::move(callback)) {}
  ~BottomHalf() { cancel(); }

  void schedule() { internal::ContextAccess(context_).schedule(*this); }
  void schedule_from_signal() { internal::ContextAccess(context_).schedule_from_signal(*this); }

  // Takes back what was scheduled so far.
  void cancel() { internal::ContextAccess(context_).cancel(*this); }

 private:
  static void call(internal::RunNode& node) { static_cast<BottomHalf&>(node).callback_(); }

  // Only read, also by other threads. In a cache line of its own, so that they need not wait for
  // the one above, which both sides write.
  alignas(64) Context& context_;
  absl::AnyInvocable<void()> callback_;
};

// The same for work that can wait: runs in the first turn that finds nothing else to do, and does
// not count as progress. While one is scheduled, the loop sleeps 10 ms at most. Everything on the
// home thread.
class IdleBottomHalf final : private internal::NamedRunNode {
 public:
  IdleBottomHalf(Context& context, absl::AnyInvocable<void()> callback, const char* name = nullptr)
      : internal::NamedRunNode(&IdleBottomHalf::call, internal::CallKind::kIdleBottomHalf, name),
        context_(context),
        callback_(std::move(callback)) {}
  ~IdleBottomHalf() { cancel(); }

  void schedule() { internal::ContextAccess(context_).schedule_idle(*this); }
  void cancel() { internal::ContextAccess(context_).cancel(*this); }

 private:
  static void call(internal::RunNode& node) { static_cast<IdleBottomHalf&>(node).callback_(); }

  Context& context_;
  absl::AnyInvocable<void()> callback_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_BOTTOM_HALF_H_
