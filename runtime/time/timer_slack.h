// TimerSlack: the timer slack of a thread, for as long as a context is bound to the thread.
//
// A thread may run several contexts, and has the slack that was set last. When the last of them
// ends, the thread gets back the slack that it had before the first. A child made with fork() gets
// the former slack at once, by pthread_atfork().
//
// posix_spawn(), vfork() and pthread_create() run no handler of the library, and the kernel has no
// slack that is not inherited. Their children therefore inherit the short slack, also as the
// default to which PR_SET_TIMERSLACK with 0 returns (docs/decisions.md, "Timer slack").
//
// Threads: the same thread calls set() and give_back().

#ifndef COAIO_RUNTIME_TIME_TIMER_SLACK_H_
#define COAIO_RUNTIME_TIME_TIMER_SLACK_H_

#include <chrono>

namespace coaio::internal {

class TimerSlack {
 public:
  // Sets the slack of the calling thread. Where a sandbox refuses that, sleeps stay as precise as
  // they were.
  void set(std::chrono::nanoseconds slack);

  // Does nothing if no slack was set. Must not be called after the thread has ended.
  void give_back();

 private:
  bool is_set_ = false;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_TIME_TIMER_SLACK_H_
