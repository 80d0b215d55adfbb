// Latch: a count that goes down to zero once, and tasks that wait for zero.
//
//   Latch loaded(3);
//   ... three threads or tasks: loaded.count_down();
//   absl::Status status = co_await loaded.wait();
//
// Threads: count_down() and is_done() on any thread; tasks of several contexts may wait. A task
//   that has waited sees what the other threads wrote before their count_down().
// Lifetime: the latch outlives its waits and the calls of its functions, with one exception: the
//   task that the last count_down() has woken may destroy the latch before that call returns.
// Fork: in a forked child a latch of the parent can only be destroyed.
//
// wait(): as Event::wait() (coro/sync/event.h).

#ifndef COAIO_CORO_SYNC_LATCH_H_
#define COAIO_CORO_SYNC_LATCH_H_

#include <atomic>
#include <cstddef>

#include "backends/check.h"
#include "coro/sync/event.h"

namespace coaio {

class Latch {
 public:
  explicit Latch(std::size_t count) : count_(count), done_(count == 0) {}

  void count_down(std::size_t by = 1) {
    // Acquire and release, paired with itself: the thread that reaches zero has seen what the
    // others wrote before their calls, and set() publishes that.
    const std::size_t before = count_.fetch_sub(by, std::memory_order_acq_rel);
    internal::check(
        before >= by,
        "a latch is counted down below zero: count it down as often as its constructor was told");
    if (before == by && by != 0) {
      done_.set();
    }
  }

  bool is_done() const { return done_.is_set(); }

  // absl::Status: OK, or kCancelled.
  Event::Wait wait() { return done_.wait(); }

 private:
  std::atomic<std::size_t> count_;
  Event done_;
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_LATCH_H_
