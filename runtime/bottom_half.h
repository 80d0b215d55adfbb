// BottomHalf: a function that the loop calls soon, once however often it was scheduled before that.
//
//   BottomHalf flush(context, [&] { write_out(); });
//   flush.schedule();      // from any thread
//
// The loop calls each scheduled bottom half in the step for bottom halves of the current or the
// next turn. The bottom halves that one thread schedules run in the order of its calls. A callback
// that schedules its own bottom half runs again in the next turn. If two threads schedule the same
// bottom half, the first call determines its position. schedule() does not allocate.
//
// Threads: schedule() on any thread; schedule_from_signal() also in signal handlers; everything
//   else on the home thread. The callback sees all memory writes that the scheduling thread made
//   before schedule().
// Lifetime: the callback may schedule, cancel or delete its own bottom half. After it has deleted
//   its bottom half, the callback must not use its captures. No thread schedules a bottom half that
//   is being destroyed. The name is what a Watchdog prints, and outlives the bottom half.

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

  // No thread writes this reference after construction. It stands in a separate cache line from the
  // NamedRunNode, because the home thread and the scheduling threads write to the NamedRunNode.
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
