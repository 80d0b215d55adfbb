// How a turn waits: in user space first, if the poll budget says so, and then in the kernel.

#include <algorithm>
#include <chrono>

#include "backends/fd_monitor.h"
#include "runtime/clock.h"
#include "runtime/context.h"
#include "runtime/poll_budget.h"
#include "runtime/poll_guard.h"

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
  const PollRecord poll = poll_for(head, start);
  const nanoseconds polled = poll.duration();
  const bool hit = has_work();
  guard_.judge(start + polled, poll);
  if (!hit) {
    sleep_until_work(tail);
  }
  if (budget_.learns()) {
    const nanoseconds blocked = hit ? kNothing : real_time() - start - polled;
    budget_.waited({.polled = polled, .blocked = blocked, .by_event = has_work()});
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

// Looks for work for as long as the budget says, if the guard allows it.
PollRecord Context::poll_for(nanoseconds budget, TimePoint start) {
  PollRecord poll;
  if (budget == kNothing || !guard_.grants(start, budget)) {
    return poll;
  }
  ++figures_.polls;
  for (unsigned probe = 1;; ++probe) {
    const bool called = look();
    const bool found = has_work();
    // A reading of the clock takes as long as many probes of memory, and what comes meanwhile
    // waits.
    const bool timed = found ? poll.timed() && guard_.watches()
                             : called || probe % kProbesPerClockReading == 0;
    if (timed) {
      poll.looked(real_time() - start, found);
    }
    if (found) {
      ++figures_.poll_hits;
      break;
    }
    if (timed && (poll.duration() >= budget || !guard_.goes_on(start + poll.duration(), poll))) {
      break;
    }
    relax();
  }
  figures_.polled += poll.duration();
  guard_.spend(start + poll.duration(), poll);
  return poll;
}

void Context::sleep(nanoseconds limit) {
  if (wakeup_.announce_sleep() && remote_.empty_before_sleep()) {
    ++figures_.waits;
    collect(limit);
  } else {
    look();  // woken in the last moment; who is woken all the time still hears from the kernel
  }
}

}  // namespace coaio
