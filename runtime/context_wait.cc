// How a turn waits: in user space first, if the poll budget says so, and then in the kernel.

#include <algorithm>
#include <chrono>

#include "backends/fd_monitor.h"
#include "runtime/clock.h"
#include "runtime/context.h"
#include "runtime/poll_budget.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kNothing{0};

// While sources are polled in memory, a reading of the clock and a call that asks the kernel are
// dear; they take 24 ns and 200 to 400 ns where a look at a few sources takes 5.
constexpr unsigned kProbesPerClockReading = 16;
constexpr unsigned kGlancesPerLook = 64;

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

// Sources in memory, and the kernel without sleeping, and without a system call where user space
// can tell.
void Context::look() {
  if (!sources_.empty()) {
    sources_.look();
  }
  const Peek peek = monitor_->peek();
  if (peek == Peek::kReady ||
      (peek == Peek::kCannotTell && fds_.worth_a_look(sources_.polled_doorbells()))) {
    ask_without_sleeping();
  }
}

// A look of many in a row: where only a system call can tell, it is made now and then, for it takes
// longer than what comes through memory.
void Context::glance() {
  sources_.look();
  const Peek peek = monitor_->peek();
  if (peek == Peek::kNothing) {
    return;
  }
  const bool due = ++glances_ % kGlancesPerLook == 0;
  if (peek == Peek::kReady || fds_.changed() ||
      (due && fds_.worth_a_look(sources_.polled_doorbells()))) {
    ask_without_sleeping();
  }
}

void Context::ask_without_sleeping() {
  ++figures_.looks;
  collect(kNothing);
}

void Context::wait_for_work(nanoseconds limit) {
  const nanoseconds head = std::min(budget(), limit);
  // A sleeper would be late for the timer: the last stretch before one is polled.
  const nanoseconds tail =
      limit == FdMonitor::kForever || !idle_.empty() ? kNothing : budget_.timer_tail();
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
  const nanoseconds polled = poll_for(head, start);
  const bool hit = has_work();
  if (!hit) {
    sleep_until_work(tail);
  }
  if (learns) {
    const nanoseconds blocked = hit ? kNothing : real_time() - start - polled;
    learn({.polled = polled, .blocked = blocked, .by_event = has_work()});
  }
}

nanoseconds Context::budget() const {
  return !sources_.polls() ? budget_.budget() : std::max(budget_.budget(), sources_.budget());
}

// Sources that ended the wait learn from it; plain descriptors and the rest share one budget.
void Context::learn(const FinishedWait& wait) {
  if (sources_.has_ready() && sources_.learns()) {
    sources_.waited(wait);
  } else {
    budget_.waited(wait);
  }
}

// What comes through memory may come faster than two clock readings: less than a microsecond is
// polled for nothing, unless polling is capped.
bool Context::finds_work_at_once() {
  if (!sources_.polls() || cap_.limits()) {
    return false;
  }
  sources_.begin_polling();
  for (unsigned probe = 0; probe < kProbesPerClockReading; ++probe) {
    glance();
    if (has_work()) {
      ++figures_.polls;
      ++figures_.poll_hits;
      return true;
    }
    relax();
  }
  return false;
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
  return fds_.has_reports() || sources_.has_ready() || wakeup_.notified();
}

// Looks for work for as long as the budget says, if the cap allows it. Returns for how long it
// looked.
nanoseconds Context::poll_for(nanoseconds budget, TimePoint start) {
  if (budget == kNothing || !cap_.grants(start, budget)) {
    return kNothing;
  }
  ++figures_.polls;
  const bool in_memory = sources_.polls();
  sources_.begin_polling();
  nanoseconds polled = kNothing;
  for (unsigned probe = 1; polled < budget; ++probe) {
    if (in_memory) {
      glance();
    } else {
      look();
    }
    const bool hit = has_work();
    if (hit || !in_memory || probe % kProbesPerClockReading == 0) {
      polled = real_time() - start;
    }
    if (hit) {
      ++figures_.poll_hits;
      break;
    }
    relax();
  }
  figures_.polled += polled;
  cap_.spend(polled);
  return polled;
}

void Context::sleep(nanoseconds limit) {
  if (!sources_.empty()) {
    sources_.end_polling();
    if (sources_.has_ready()) {
      glance();  // who is ready all the time leaves the kernel its turn
      return;
    }
  }
  if (wakeup_.announce_sleep()) {
    ++figures_.waits;
    collect(limit);
    if (!sources_.empty()) {
      sources_.look();
    }
  } else {
    look();  // notified in the last moment; who is notified all the time still hears the kernel
  }
}

}  // namespace coaio
