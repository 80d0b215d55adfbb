// The turn of the loop, and turns in a row.

#include <algorithm>
#include <atomic>
#include <chrono>

#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/run_queue.h"
#include "runtime/run_slice.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

// For how long a turn sleeps while idle bottom halves are scheduled.
constexpr nanoseconds kIdlePatience = std::chrono::milliseconds(10);

// A task that nests turns keeps the coop budget that it has left: the loop refills the budget for
// each task that it resumes in the nested turn, and the stack of the outer one would grow without
// bound.
class KeptBudget {
 public:
  explicit KeptBudget(unsigned& budget) : budget_(budget), left_(budget) {}
  KeptBudget(const KeptBudget&) = delete;
  KeptBudget& operator=(const KeptBudget&) = delete;
  ~KeptBudget() { budget_ = left_; }

 private:
  unsigned& budget_;
  const unsigned left_;
};

}  // namespace

// --- the turn -----------------------------------------------------------------------------------

bool Context::poll(bool may_block) {
  bind();
  const KeptBudget kept(coop_budget_);
  return turn(may_block);
}

// Inlined, for it runs once for each hop of a coroutine.
[[gnu::always_inline]] inline bool Context::run_queued(RunSlice* slice) {
  remote_.drain(queue_);
  queue_.begin_batch();
  if (activity_ != nullptr) [[unlikely]] {
    return run_watched(queue_, *activity_, Activity::Step::kBottomHalf, slice);
  }
  bool ran = false;
  if (slice == nullptr) {
    while (queue_.run_one()) {
      ran = true;
    }
    return ran;
  }
  while (queue_.next() != nullptr && slice->may_run()) {
    ran |= queue_.run_one();
  }
  return ran;
}

// The order is what users may rely on: what was scheduled before a turn runs before the turn's
// events, so that a bottom half can prepare for them, and timers come last, so that a deadline that
// has passed while its event was waiting loses against the event. A nested turn goes through the
// same steps, and does what the outer one has collected and not yet called.
//
// run() bounds the bottom halves of a turn by a slice. If the slice of the last turn left some,
// then this turn begins with its events and timers: no number of bottom halves delays these for
// longer than one slice.
bool Context::turn(bool may_block, RunSlice* slice) noexcept {
  ++stats_.turns;
  find_work(may_block);
  accept_wakeup();
  const bool events_first = slice != nullptr && slice->spent();
  if (slice != nullptr && !events_first) {
    slice->begin();
  }
  bool progress = !events_first && run_queued(slice);
  progress |= fds_.dispatch();
  if (!sources_.empty()) {
    progress |= sources_.dispatch(activity_);
  }
  progress |= fire_timers();
  if (progress) {
    tell(TraceEvent::Kind::kDispatch, nanoseconds(0));
  } else if (!events_first) {
    run_idle();
  }
  if (events_first) {
    slice->begin();
  }
  return progress;
}

void Context::find_work(bool may_block) {
  const nanoseconds limit = may_block ? time_to_next() : nanoseconds(0);
  if (limit == nanoseconds(0)) {
    probe_fully();
  } else {
    wait_.wait(limit, limit != FdMonitor::kForever && idle_.empty());
  }
}

// While an idle bottom half is scheduled, a sleep is short.
nanoseconds Context::time_to_next() const {
  if (has_work()) {
    return nanoseconds(0);
  }
  nanoseconds limit = idle_.empty() ? FdMonitor::kForever : kIdlePatience;
  if (timers_.size() != 0) {
    limit = std::min(limit, clock_->until(timers_.next_deadline()));
  }
  if (wall_timers_.size() != 0) {
    limit = std::min(limit, wall_timers_.time_to_next());
  }
  return limit;
}

void Context::accept_wakeup() {
  if (wakeup_.notified() || !remote_.empty()) {
    ++stats_.wakeups;
  }
  wakeup_.accept();
}

bool Context::run_watched(RunQueue& queue, Activity& activity, Activity::Step step,
                          RunSlice* slice) {
  bool ran = false;
  while (const RunNode* node = queue.next()) {
    if (slice != nullptr && !slice->may_run()) {
      break;
    }
    const BottomHalf* half = BottomHalf::from(*node);
    const bool task = step == Activity::Step::kBottomHalf && half == nullptr;
    const Activity::Doing doing(&activity, task ? Activity::Step::kTask : step,
                                half == nullptr ? nullptr : half->name());
    ran |= queue.run_one();
  }
  return ran;
}

bool Context::fire_timers() {
  const bool fired = timers_.size() != 0 && timers_.fire_due(clock_->now(), activity_) != 0;
  return wall_timers_.fire_due(activity_) || fired;
}

void Context::run_idle() {
  idle_.begin_batch();
  if (activity_ != nullptr) [[unlikely]] {
    run_watched(idle_, *activity_, Activity::Step::kIdle, nullptr);
    return;
  }
  while (idle_.run_one()) {
  }
}

// --- turns in a row -----------------------------------------------------------------------------

void Context::run() {
  // Acquire: pairs with the release in stop(), so that what the stopper wrote is seen after run().
  run_turns([this] { return stopped_.load(std::memory_order_acquire); });
  stopped_.store(false, std::memory_order_relaxed);  // the next run() begins afresh
}

void Context::run_until(const bool& done) {
  run_turns([&done] { return done; });
}

template <typename Done>
void Context::run_turns(Done done) {
  bind();
  const KeptBudget kept(coop_budget_);
  slice_.begin();
  while (!done()) {
    turn(true, &slice_);
    finish_slice(done);
  }
}

// A hop between coroutines of this thread costs what a queue costs, not what a look at the kernel
// does.
template <typename Done>
void Context::finish_slice(Done done) noexcept {
  while (!queue_.empty() && !done() && run_queued(&slice_)) {
  }
}

}  // namespace coaio
