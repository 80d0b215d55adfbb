// Clock: where a context takes the time from, so that tests need not wait for it.
//
//   ManualClock clock;
//   auto context = Context::create({.clock = &clock});
//   clock.advance(5s);
//   (*context)->poll(false);      // fires what is due
//
// Threads: now() anywhere; ManualClock::advance() by one thread at a time, and a context that is
//   blocked does not notice it: notify() the context.
// Lifetime: a clock outlives the contexts that use it.

#ifndef COAIO_RUNTIME_TIME_CLOCK_H_
#define COAIO_RUNTIME_TIME_CLOCK_H_

#include <atomic>
#include <chrono>

namespace coaio {

using TimePoint = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;

  virtual TimePoint now() const = 0;

  // How long a wait may sleep so as not to miss `deadline`: zero if it has passed,
  // FdMonitor::kForever if only a call can move this clock there.
  virtual std::chrono::nanoseconds until(TimePoint deadline) const = 0;

  // CLOCK_MONOTONIC.
  static const Clock& steady();
};

// Stands still until it is told to move. Begins at the epoch of TimePoint plus one hour, so that a
// test can also name times before.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override;
  std::chrono::nanoseconds until(TimePoint deadline) const override;

  // Moves the clock; never backwards.
  void advance(std::chrono::nanoseconds by);
  void advance_to(TimePoint time);

 private:
  // Relaxed throughout: a time is a number, and publishes nothing else.
  std::atomic<std::chrono::nanoseconds::rep> now_ns_{3'600'000'000'000};
};

// time + by, saturating instead of wrapping: "never" stays later than everything.
TimePoint saturating_add(TimePoint time, std::chrono::nanoseconds by);

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_CLOCK_H_
