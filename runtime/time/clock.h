// Clock: the source of a context's time. With a ManualClock, tests need not wait.
//
//   ManualClock clock;
//   auto context = Context::create({.clock = &clock});
//   clock.advance(5s);
//   (*context)->poll(false);      // fires what is due
//
// Threads: any thread may call now(); one thread at a time calls ManualClock::advance(). A context
//   that sleeps does not notice the call: notify() the context.
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

  // The longest sleep that does not miss `deadline`: zero if the deadline has passed. A clock that
  // moves only by calls, such as ManualClock, returns FdMonitor::kForever for a later deadline.
  virtual std::chrono::nanoseconds until(TimePoint deadline) const = 0;

  // CLOCK_MONOTONIC.
  static const Clock& steady();
};

// A clock that moves only when the program moves it. It begins one hour after the epoch of
// TimePoint, so that a test can also name times before.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override;
  std::chrono::nanoseconds until(TimePoint deadline) const override;

  // Moves the clock. Moving it backwards ends the process.
  void advance(std::chrono::nanoseconds by);
  void advance_to(TimePoint time);

 private:
  // Relaxed, because a time publishes nothing else.
  std::atomic<std::chrono::nanoseconds::rep> now_ns_{3'600'000'000'000};
};

// time + by, which saturates instead of wrapping. TimePoint::max(), "never", stays the latest time.
TimePoint saturating_add(TimePoint time, std::chrono::nanoseconds by);

// deadline - now, which saturates; zero if the deadline has passed.
std::chrono::nanoseconds saturating_until(TimePoint deadline, TimePoint now);

}  // namespace coaio

#endif  // COAIO_RUNTIME_TIME_CLOCK_H_
