// WakePair: two threads that wake each other in turn.

#ifndef COAIO_BENCH_LOOP_WAKE_H_
#define COAIO_BENCH_LOOP_WAKE_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "backends/backend.h"

namespace coaio::bench {

class WakePair {
 public:
  virtual ~WakePair() = default;

  virtual absl::string_view name() const = 0;

  // The time from one thread's wake to the other's, over some thousand of them.
  virtual double nanoseconds_per_wake() = 0;
};

// The two threads need a CPU each: where only one is usable, nothing can be measured.
bool can_measure_wakes();

struct ContextWakes {
  bool polls = false;    // the loops look for work in user space and never sleep
  bool watches = false;  // each has a descriptor to watch, on which nothing happens
};

std::unique_ptr<WakePair> make_context_wakes(Backend backend, ContextWakes options);

// Threads that spin on an atomic.
std::unique_ptr<WakePair> make_atomic_wakes();

// Threads that spin on an atomic, and look at their descriptor each time.
std::unique_ptr<WakePair> make_probing_wakes(Backend backend);

// Threads that sleep in a read of an eventfd.
std::unique_ptr<WakePair> make_sleeping_wakes();

}  // namespace coaio::bench

#endif  // COAIO_BENCH_LOOP_WAKE_H_
