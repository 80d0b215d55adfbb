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
    kPollBegin,   // begins to look for work in user space, for at most `duration`
    kPollEnd,     // has done so for `duration`, in which nothing else had the CPU
    kPollGrow,    // the poll budget is longer after this wait: `duration`
    kPollShrink,  // or shorter
    kWait,      // is about to sleep, for at most `duration`, unless work comes at the last moment;
                // FdMonitor::kForever: without end
    kDispatch,  // the turn has called bottom halves, handlers or timers
  };

  Kind kind;
  std::chrono::nanoseconds duration{0};
};

using Trace = absl::AnyInvocable<void(const TraceEvent&)>;

}  // namespace coaio

#endif  // COAIO_RUNTIME_TRACE_H_
