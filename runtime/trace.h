// Trace: a callback that reports how a context waits.
//
//   context.set_trace([](const TraceEvent& event) { ... });
//
// Threads: called on the home thread, in the middle of a turn. It may schedule, post and arm, which
// the turn takes into account before it sleeps; it must neither run turns nor set another trace.

#ifndef COAIO_RUNTIME_TRACE_H_
#define COAIO_RUNTIME_TRACE_H_

#include <chrono>
#include <cstdint>

#include "absl/functional/any_invocable.h"

namespace coaio {

struct TraceEvent {
  enum class Kind : std::uint8_t {
    kPollBegin,   // the loop begins to poll in user space, for at most `duration`
    kPollEnd,     // the loop has polled for `duration`, without the time in which it had no CPU
    kPollGrow,    // the poll budget has grown to `duration`
    kPollShrink,  // the poll budget has shrunk to `duration`
    kWait,        // the loop is about to sleep for at most `duration` (FdMonitor::kForever: no
                  // limit); it does not sleep if work arrives after this event
    kDispatch,    // the turn has called bottom halves, handlers or timers; `duration` is 0
  };

  Kind kind;
  std::chrono::nanoseconds duration{0};
};

using Trace = absl::AnyInvocable<void(const TraceEvent&)>;

}  // namespace coaio

#endif  // COAIO_RUNTIME_TRACE_H_
