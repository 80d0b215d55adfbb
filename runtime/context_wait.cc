// How a turn waits: in user space first, if the poll budget says so, and then in the kernel.

#include <algorithm>
#include <chrono>
#include <optional>

#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/context.h"
#include "runtime/polling/late_polling.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_guard.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kNothing{0};
constexpr nanoseconds kPreciseSlack = std::chrono::microseconds(1);

// A reading of the clock takes 24 ns, and a call that asks the kernel 200 to 400, where a look at
// memory takes 5: what comes meanwhile waits.
constexpr unsigned kProbesPerClockReading = 16;
constexpr unsigned kGlancesPerCall = 128;

// While sources keep the loop busy, it is asked when it is due by the clock, too: their handlers
// may take their time.
constexpr unsigned kGlancesPerClockReading = 8;

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

// --- looking ------------------------------------------------------------------------------------

// At poll sources in memory, and at the kernel without sleeping, and without a system call where
// user space can tell. Returns whether it took one.
bool Context::look() {
  if (!sources_.empty()) {
    sources_.look();
  }
  const Peek peek = monitor_->peek();
  if (peek == Peek::kReady ||
      (peek == Peek::kCannotTell && fds_.worth_a_look(sources_.polled_doorbells()))) {
    ask_without_sleeping();
    return true;
  }
  return false;
}

// A look of many in a row. While there are sources to look at in memory, the kernel is asked now
// and then only, unless something waits to be told to it.
bool Context::glance() {
  if (!sources_.polls() || fds_.changed() || kernel_is_due() || monitor_->peek() == Peek::kReady) {
    return look();
  }
  sources_.look();
  return false;
}

bool Context::kernel_is_due() {
  ++glances_;
  if (glances_ % kGlancesPerClockReading != 0) {
    return false;
  }
  const TimePoint now = real_time();
  const bool due =
      glances_ % kGlancesPerCall == 0 || now - asked_kernel_ >= options_.time_between_looks;
  asked_kernel_ = due ? now : asked_kernel_;
  return due;
}

void Context::ask_without_sleeping() {
  ++stats_.looks;
  collect(kNothing);
}

bool Context::has_work() const {
  return fds_.has_reports() || sources_.has_ready() || !remote_.empty() || wakeup_.notified();
}

// --- waiting ------------------------------------------------------------------------------------

void Context::wait_for_work(nanoseconds limit) {
  const nanoseconds head = std::min(budget(), limit);
  // A sleeper would be late for the timer: the last stretch before one is polled.
  const nanoseconds tail =
      limit == FdMonitor::kForever || !idle_.empty() ? kNothing : budget_.timer_tail(limit);
  const bool learns = budget_.learns() || sources_.learns();
  if (head == kNothing && tail == kNothing && !learns) {
    sleep(limit);
    return;
  }
  if (head != kNothing && finds_work_at_once()) {
    learn({});
    return;
  }
  const TimePoint start = real_time();
  WaitOutcome wait;
  const PollRecord poll =
      head == kNothing ? search_late(limit - tail, start, wait) : poll_for(head, start);
  wait.polled = poll.duration();
  const bool hit = has_work();
  if (!hit) {
    sleep_until_work(tail);
    if (learns || poll.timed()) {
      wait.blocked += real_time() - start - wait.slept - wait.polled;
    }
  }
  wait.by_event = has_work();
  if (wait.by_event) {
    guard_.judge(start + wait.slept + wait.polled, poll, wait.blocked);
  }
  if (learns) {
    learn(wait);
  }
}

nanoseconds Context::budget() const {
  return sources_.polls() ? std::max(budget_.budget(), sources_.budget()) : budget_.budget();
}

// What comes through memory may come faster than two readings of the clock: less than a microsecond
// is polled for nothing, unless polling is metered.
bool Context::finds_work_at_once() {
  if (!sources_.polls() || guard_.meters()) {
    return false;
  }
  sources_.begin_polling();
  for (unsigned probe = 0; probe < kProbesPerClockReading; ++probe) {
    glance();
    if (has_work()) {
      ++stats_.polls;
      ++stats_.poll_hits;
      return true;
    }
    relax();
  }
  return false;
}

// For an event that is expected at some later time, if any is.
PollRecord Context::search_late(nanoseconds limit, TimePoint start, WaitOutcome& wait) {
  const std::optional<LatePolling::Window> window = budget_.late_window();
  if (!window.has_value() || window->sleep >= limit) {
    return {};
  }
  sleep(window->sleep);
  const nanoseconds slept = real_time() - start;
  if (has_work()) {
    wait.blocked = slept;
    return {};
  }
  wait.slept = slept;
  const nanoseconds rest = std::min(window->end, limit) - slept;
  return rest > kNothing ? poll_for(rest, start + slept) : PollRecord();
}

void Context::sleep_until_work(nanoseconds tail) {
  nanoseconds rest = time_to_next_work();
  if (rest > tail) {
    sleep_towards_timer(rest, tail);
    rest = time_to_next_work();
  }
  if (rest <= kNothing || rest > tail) {
    return;
  }
  const bool granted = poll_for(rest, real_time()).timed();
  if (!granted && !has_work()) {
    sleep(rest);  // late rather than busy
  }
}

// How late it wakes tells what a wake costs, unless the kernel was asked to be late.
void Context::sleep_towards_timer(nanoseconds rest, nanoseconds tail) {
  if (tail == kNothing) {
    sleep(rest);
    return;
  }
  const nanoseconds duration = rest - tail;
  const TimePoint begin = real_time();
  sleep(duration);
  const nanoseconds late = real_time() - begin - duration;
  if (!has_work() && options_.timer_slack.value_or(nanoseconds::max()) <= kPreciseSlack) {
    budget_.woke_late(duration, late);
  }
}

// Sources that ended the wait learn from it; descriptors and the rest share one budget.
void Context::learn(const WaitOutcome& wait) {
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

// --- in user space, and in the kernel -----------------------------------------------------------

// Looks for work for as long as the budget says, if the guard allows it.
PollRecord Context::poll_for(nanoseconds budget, TimePoint start) {
  PollRecord poll;
  if (budget == kNothing || !guard_.grants(start, budget)) {
    return poll;
  }
  ++stats_.polls;
  tell(TraceEvent::Kind::kPollBegin, budget);
  if (!sources_.empty()) {
    sources_.begin_polling();
  }
  for (unsigned probe = 1;; ++probe) {
    const bool called = glance();
    const bool found = has_work();
    if (found) {
      remote_.fetch();  // on its way while we settle the poll
    }
    const bool timed =
        found ? poll.timed() && guard_.watches() : called || probe % kProbesPerClockReading == 0;
    if (timed) {
      poll.looked(real_time() - start, found);
    }
    if (found) {
      ++stats_.poll_hits;
      break;
    }
    if (timed && (poll.duration() >= budget || !guard_.goes_on(start + poll.duration(), poll))) {
      break;
    }
    relax();
  }
  tell(TraceEvent::Kind::kPollEnd, poll.taken());
  stats_.polled += poll.taken();
  guard_.spend(start + poll.duration(), poll);
  return poll;
}

void Context::sleep(nanoseconds limit) {
  if (!sources_.empty()) {
    sources_.end_polling();
    if (sources_.has_ready()) {
      glance();  // who is ready all the time leaves the kernel its turn
      return;
    }
  }
  if (wakeup_.announce_sleep() && remote_.empty_before_sleep()) {
    ++stats_.waits;
    const Activity::Waiting waiting(activity_);
    tell(TraceEvent::Kind::kWait, limit);
    collect(limit);
    if (!sources_.empty()) {
      sources_.look();
    }
  } else {
    look();  // woken in the last moment; who is woken all the time still hears from the kernel
  }
  wakeup_.withdraw();
}

}  // namespace coaio
