#include "runtime/time/timer_slack.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <chrono>
#include <utility>

#include "backends/check.h"

namespace coaio::internal {
namespace {

// Trivial, so that it may also be used while the thread-locals of a thread end.
struct OfThread {
  unsigned users = 0;
  int before = 0;  // the slack, in nanoseconds
};
constinit thread_local OfThread t_slack;

// A long slack is not an int, and prctl() returns it as a negative one: that one is left as it is.
void restore() {
  if (t_slack.before > 0) {
    prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(t_slack.before), 0, 0, 0);
  }
}

// The program that the child becomes inherits the slack.
void restore_in_child() {
  if (std::exchange(t_slack.users, 0U) != 0) {
    restore();
  }
}

void watch_forks_of_slack() {
  static const int error = pthread_atfork(nullptr, nullptr, restore_in_child);
  check(error == 0, "no memory for the notice of a fork");
}

}  // namespace

void TimerSlack::set(std::chrono::nanoseconds slack) {
  watch_forks_of_slack();
  if (!std::exchange(is_set_, true) && t_slack.users++ == 0) {
    t_slack.before = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  }
  prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(slack.count()), 0, 0, 0);
}

void TimerSlack::give_back() {
  if (std::exchange(is_set_, false) && --t_slack.users == 0) {
    restore();
  }
}

}  // namespace coaio::internal
