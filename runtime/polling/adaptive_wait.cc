#include "runtime/polling/adaptive_wait.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "backends/fd_monitor.h"
#include "runtime/polling/late_polling.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_guard.h"
#include "runtime/polling/poll_record.h"
#include "runtime/polling/wait_outcome.h"
#include "runtime/source_list.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio::internal {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kNothing{0};

// A reading of the clock takes 24 ns, where a probe of memory takes 5.
constexpr unsigned kProbesPerClockReading = 16;

// Tells the processor that this is a waiting loop.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

AdaptiveWait::AdaptiveWait(Loop& loop, SourceList& sources, PollStats& stats, Trace& trace,
                           const Options& options)
    : loop_(loop),
      sources_(sources),
      stats_(stats),
      trace_(trace),
      clock_(*options.clock),
      precise_sleeps_(options.precise_sleeps),
      budget_(options.policy),
      guard_(options.share, options.environment, stats.guard) {
  budget_.set_longest(guard_.longest_grant());
}

// The learned policy chooses among the budgets that the guard may grant.
void AdaptiveWait::set_policy(const PollPolicy& policy) {
  budget_ = PollBudget(policy);
  budget_.set_longest(guard_.longest_grant());
}

void AdaptiveWait::set_share(double share) {
  guard_.set_share(share);
  budget_.set_longest(guard_.longest_grant());
}

void AdaptiveWait::wait(nanoseconds limit, bool until_timer) {
  const nanoseconds head = std::min(budget(), limit);
  // A sleeper would be late for the timer: the last stretch before a timer is polled.
  const nanoseconds tail = until_timer ? budget_.timer_tail(limit) : kNothing;
  const bool learns = budget_.learns() || sources_.learns();
  if (head == kNothing && tail == kNothing && !learns) {
    loop_.sleep(limit);
    return;
  }
  if (head != kNothing && finds_work_at_once()) {
    learn({});
    return;
  }
  const TimePoint start = clock_.now();
  WaitOutcome wait;
  const PollRecord poll =
      head == kNothing ? poll_late(limit - tail, start, wait) : poll_for(head, start);
  wait.polled = poll.duration();
  if (!loop_.has_work()) {
    const LastPoll last = sleep_until_work(tail);
    wait.woken = !last.found;
    if (learns || poll.timed()) {
      wait.blocked += clock_.now() - start - wait.slept - wait.polled;
    }
    if (last.found) {
      guard_.record_outcome(start + wait.slept + wait.polled + wait.blocked, last.poll, kNothing);
    }
  }
  wait.by_event = loop_.has_work();
  if (wait.by_event && wait.woken) {
    guard_.record_outcome(start + wait.slept + wait.polled, poll, wait.blocked);
  }
  if (learns) {
    learn(wait);
  }
}

// A longer poll than the guard's longest grant would be refused each time.
nanoseconds AdaptiveWait::budget() const {
  const nanoseconds wanted =
      sources_.polls() ? std::max(budget_.budget(), sources_.budget()) : budget_.budget();
  return std::min(wanted, guard_.longest_grant());
}

// --- polling in user space ----------------------------------------------------------------------

// An event through memory may come faster than the clock can be read twice: less than a microsecond
// of polling is not accounted for, unless polling has a limit.
bool AdaptiveWait::finds_work_at_once() {
  if (!sources_.polls() || guard_.is_limited()) {
    return false;
  }
  sources_.begin_polling();
  for (unsigned probe = 0; probe < kProbesPerClockReading; ++probe) {
    if (loop_.probe().found) {
      ++stats_.polls;
      ++stats_.poll_hits;
      return true;
    }
    relax();
  }
  return false;
}

// Polls for as long as the budget says, if the guard allows it.
PollRecord AdaptiveWait::poll_for(nanoseconds budget, TimePoint start) {
  PollRecord poll;
  if (budget == kNothing || !guard_.grants(start, budget)) {
    return poll;
  }
  ++stats_.polls;
  tell(TraceEvent::Kind::kPollBegin, budget);
  if (!sources_.empty()) {
    sources_.begin_polling();
  }
  if (trace_ != nullptr || !sources_.empty()) {
    // The trace or poll_begin() may have armed a timer.
    budget = std::min(budget, loop_.time_to_next());
  }
  for (unsigned probes = 1;; ++probes) {
    const Loop::Probe probe = loop_.probe();
    const bool timed = probe.found ? poll.timed() && guard_.is_enabled()
                                   : probe.asked_kernel || probes % kProbesPerClockReading == 0;
    if (timed) {
      poll.probed(clock_.now() - start, probe.found);
    }
    if (probe.found) {
      ++stats_.poll_hits;
      break;
    }
    if (timed &&
        (poll.duration() >= budget || !guard_.may_continue(start + poll.duration(), poll))) {
      break;
    }
    relax();
  }
  tell(TraceEvent::Kind::kPollEnd, poll.taken());
  stats_.polled += poll.taken();
  guard_.spend(start + poll.duration(), poll);
  return poll;
}

// Sleeps first, if an event is expected at some later time, and polls around that time.
PollRecord AdaptiveWait::poll_late(nanoseconds limit, TimePoint start, WaitOutcome& wait) {
  const std::optional<LatePolling::Window> window = budget_.late_window();
  if (!window.has_value() || window->sleep >= limit) {
    return {};
  }
  loop_.sleep(window->sleep);
  const nanoseconds slept = clock_.now() - start;
  if (loop_.has_work()) {
    wait.blocked = slept;
    return {};
  }
  wait.slept = slept;
  const nanoseconds rest = std::min(window->end, limit) - slept;
  return rest > kNothing ? poll_for(rest, start + slept) : PollRecord();
}

// --- sleeping -----------------------------------------------------------------------------------

// Sleeps until `tail` before the next timer, and polls from there.
AdaptiveWait::LastPoll AdaptiveWait::sleep_until_work(nanoseconds tail) {
  nanoseconds rest = loop_.time_to_next();
  if (rest > tail) {
    sleep_before_tail(rest, tail);
    rest = loop_.time_to_next();
  }
  if (rest <= kNothing || rest > tail) {
    return {};
  }
  const PollRecord poll = poll_for(rest, clock_.now());
  if (loop_.has_work()) {
    return {.poll = poll, .found = true};
  }
  if (!poll.timed()) {
    loop_.sleep(rest);  // late rather than busy
  }
  return {};
}

// The lateness of a sleep that no event ended is the cost of a wake.
void AdaptiveWait::sleep_before_tail(nanoseconds rest, nanoseconds tail) {
  if (tail == kNothing) {
    loop_.sleep(rest);
    return;
  }
  const nanoseconds duration = rest - tail;
  const TimePoint begin = clock_.now();
  loop_.sleep(duration);
  const nanoseconds late = clock_.now() - begin - duration;
  if (!loop_.has_work() && precise_sleeps_) {
    budget_.woke_late(duration, late);
  }
}

// --- learning -----------------------------------------------------------------------------------

// The poll sources that ended the wait learn from it; file descriptors and all else share one
// budget.
void AdaptiveWait::learn(const WaitOutcome& wait) {
  const nanoseconds before = trace_ == nullptr ? kNothing : budget();
  if (sources_.has_ready() && sources_.learns()) {
    sources_.waited(wait);
  } else {
    budget_.waited(wait);
  }
  if (trace_ != nullptr) [[unlikely]] {
    if (const nanoseconds after = budget(); after != before) {
      tell(after > before ? TraceEvent::Kind::kPollGrow : TraceEvent::Kind::kPollShrink, after);
    }
  }
}

}  // namespace coaio::internal
