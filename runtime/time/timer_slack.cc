#include "runtime/time/timer_slack.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <chrono>
#include <utility>

#include "backends/check.h"

namespace coaio::internal {
namespace {

// Trivial, so that destructors of other thread-locals may use it.
struct ThreadSlack {
  unsigned users = 0;
  int before = 0;  // the slack, in nanoseconds
};
constinit thread_local ThreadSlack t_slack;

// prctl() returns an int, which is negative if the slack does not fit. Such a slack is not
// restored.
void restore() {
  if (t_slack.before > 0) {
    prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(t_slack.before), 0, 0, 0);
  }
}

// A program that the child executes inherits the child's slack.
void restore_in_child() {
  if (std::exchange(t_slack.users, 0U) != 0) {
    restore();
  }
}

void restore_in_children() {
  static const int error = pthread_atfork(nullptr, nullptr, restore_in_child);
  check(error == 0, "pthread_atfork() has no memory for a handler");
}

}  // namespace

void TimerSlack::set(std::chrono::nanoseconds slack) {
  restore_in_children();
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
