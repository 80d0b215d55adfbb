// How a turn waits: in user space first, if the poll budget says so, and then in the kernel.

#include <algorithm>
#include <chrono>

#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/clock.h"
#include "runtime/context.h"
#include "runtime/poll_budget.h"
#include "runtime/trace.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kNothing{0};
constexpr unsigned kProbesPerClockReading = 8;

TimePoint real_time() { return std::chrono::steady_clock::now(); }

// Tells the processor that this is a waiting loop.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

// Asks the kernel without sleeping, and without a system call where user space can tell. Returns
// whether it took one.
bool Context::look() {
  const Peek peek = monitor_->peek();
  if (peek == Peek::kReady || (peek == Peek::kCannotTell && fds_.worth_a_look())) {
    ++figures_.looks;
    collect(kNothing);
    return true;
  }
  return false;
}

void Context::wait_for_work(nanoseconds limit) {
  const nanoseconds head = std::min(budget_.budget(), limit);
  // A sleeper would be late for the timer: the last stretch before one is polled.
  const nanoseconds tail =
      limit == FdMonitor::kForever || !idle_.empty() ? kNothing : budget_.timer_tail();
  if (head == kNothing && tail == kNothing && !budget_.learns()) {
    sleep(limit);
    return;
  }
  const TimePoint start = real_time();
  const nanoseconds polled = poll_for(head, start);
  const bool hit = has_work();
  if (!hit) {
    sleep_until_work(tail);
  }
  if (budget_.learns()) {
    const nanoseconds blocked = hit ? kNothing : real_time() - start - polled;
    learn({.polled = polled, .blocked = blocked, .by_event = has_work()});
  }
}

void Context::learn(const FinishedWait& wait) {
  if (trace_ == nullptr) [[likely]] {
    budget_.waited(wait);
    return;
  }
  const nanoseconds before = budget_.budget();
  budget_.waited(wait);
  if (const nanoseconds after = budget_.budget(); after != before) {
    tell(after > before ? TraceEvent::Kind::kPollGrow : TraceEvent::Kind::kPollShrink, after);
  }
}

void Context::sleep_until_work(nanoseconds tail) {
  nanoseconds rest = time_to_next_work();
  if (rest > tail) {
    sleep(rest == FdMonitor::kForever ? rest : rest - tail);
    rest = time_to_next_work();
  }
  if (rest > kNothing && rest <= tail) {
    poll_for(rest, real_time());
  }
}

bool Context::has_work() const {
  return fds_.has_reports() || !remote_.empty() || wakeup_.notified();
}

// Looks for work for as long as the budget says, if the cap allows it. Returns for how long it
// looked.
nanoseconds Context::poll_for(nanoseconds budget, TimePoint start) {
  if (budget == kNothing || !cap_.grants(start, budget)) {
    return kNothing;
  }
  ++figures_.polls;
  tell(TraceEvent::Kind::kPollBegin, budget);
  nanoseconds polled = kNothing;
  for (unsigned probe = 1;; ++probe) {
    const bool called = look();
    if (has_work()) {
      ++figures_.poll_hits;
      break;
    }
    // A reading of the clock takes as long as many probes of memory, and what comes meanwhile
    // waits.
    if (called || probe % kProbesPerClockReading == 0) {
      polled = real_time() - start;
      if (polled >= budget) {
        break;
      }
    }
    relax();
  }
  tell(TraceEvent::Kind::kPollEnd, polled);
  figures_.polled += polled;
  cap_.spend(polled);
  return polled;
}

void Context::sleep(nanoseconds limit) {
  if (wakeup_.announce_sleep() && remote_.empty_before_sleep()) {
    ++figures_.waits;
    const Activity::Waiting waiting(activity_);
    tell(TraceEvent::Kind::kWait, limit);
    collect(limit);
  } else {
    look();  // woken in the last moment; who is woken all the time still hears from the kernel
  }
}

}  // namespace coaio
