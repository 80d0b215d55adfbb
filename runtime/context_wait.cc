// How a context waits: the calls that AdaptiveWait makes.

#include <algorithm>
#include <chrono>

#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

// A call that asks the kernel takes 200 to 400 ns, where a probe of memory takes 5: what comes
// meanwhile waits.
constexpr unsigned kProbesPerKernelCall = 128;

// While sources keep the loop busy, the kernel is asked by the clock, too: the handlers of the
// sources may take their time.
constexpr unsigned kProbesPerClockReading = 8;

}  // namespace

// --- without sleeping ---------------------------------------------------------------------------

Context::Probe Context::probe() {
  const bool asked_kernel = probe_cheaply();
  const bool found = has_work();
  if (found) {
    remote_.fetch();  // on its way while the poll is settled
  }
  return {.found = found, .asked_kernel = asked_kernel};
}

// Probes poll sources in memory, and the kernel: in user space where that can tell, and else by a
// wait without a timeout. Returns whether it called wait(), which is a system call as a rule.
bool Context::probe_fully() {
  if (!sources_.empty()) {
    sources_.look();
  }
  const Peek peek = kernel_.peek();
  if (peek == Peek::kReady ||
      (peek == Peek::kCannotTell && fds_.worth_a_look(sources_.polled_doorbells()))) {
    poll_kernel();
    return true;
  }
  return false;
}

// A probe of many in a row. While there are sources to probe in memory, the kernel is asked now and
// then only, unless a change waits to be applied.
bool Context::probe_cheaply() {
  if (!sources_.polls() || fds_.changed() || kernel_is_due() || kernel_.peek() == Peek::kReady) {
    return probe_fully();
  }
  sources_.look();
  return false;
}

bool Context::kernel_is_due() {
  ++probes_;
  if (probes_ % kProbesPerClockReading != 0) {
    return false;
  }
  const TimePoint now = Clock::steady().now();
  const bool due =
      probes_ % kProbesPerKernelCall == 0 || now - asked_kernel_ >= options_.time_between_looks;
  asked_kernel_ = due ? now : asked_kernel_;
  return due;
}

void Context::poll_kernel() {
  ++stats_.looks;
  kernel_.wait(nanoseconds(0));
}

// A trace, and a poll source in its poll_begin() or poll_end(), may have scheduled something.
bool Context::has_work() const {
  return !queue_.empty() || fds_.has_reports() || sources_.has_ready() || !remote_.empty() ||
         wakeup_.notified();
}

// --- asleep -------------------------------------------------------------------------------------

void Context::sleep(nanoseconds limit) {
  if (!sources_.empty()) {
    sources_.end_polling();
    if (sources_.has_ready()) {
      probe_cheaply();  // a source that is always ready must not starve descriptors
      return;
    }
  }
  tell(TraceEvent::Kind::kWait, limit);
  if (trace_ != nullptr || !sources_.empty()) {
    limit = std::min(limit, time_to_next());  // they may have scheduled or armed something
    if (limit == nanoseconds(0)) {
      probe_fully();
      return;
    }
  }
  if (wakeup_.announce_sleep() && remote_.empty_before_sleep()) {
    ++stats_.waits;
    const Activity::Waiting waiting(activity_);
    kernel_.wait(limit);
    if (!sources_.empty()) {
      sources_.look();
    }
  } else {
    probe_fully();  // woken at the last moment; a loop that is woken all the time asks the kernel
  }
  wakeup_.withdraw();
}

}  // namespace coaio
