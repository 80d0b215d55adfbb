// TimerSlack: the timer slack of a thread, for as long as a context needs it.
//
// A thread may run several contexts. The thread gets the slack back that it had before the first of
// them when the last one ends; meanwhile it has the slack that was set last. A forked child gets
// the former slack back at once.
//
// Threads: set() and give_back() on the same thread.

#ifndef COAIO_RUNTIME_TIME_TIMER_SLACK_H_
#define COAIO_RUNTIME_TIME_TIMER_SLACK_H_

#include <chrono>

namespace coaio::internal {

class TimerSlack {
 public:
  // Sets the slack of the calling thread. Some sandboxes refuse that; sleeps are then as precise as
  // they were.
  void set(std::chrono::nanoseconds slack);

  // No-op if nothing was set. Never called, if the thread ended first.
  void give_back();

 private:
  bool is_set_ = false;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_TIME_TIMER_SLACK_H_
