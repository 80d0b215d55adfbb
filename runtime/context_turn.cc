// The turn of the loop, and turns in a row.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/run_queue.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

// For how long a turn sleeps while idle bottom halves are scheduled.
constexpr nanoseconds kIdlePatience = std::chrono::milliseconds(10);

}  // namespace

// --- the turn -----------------------------------------------------------------------------------

bool Context::poll(bool may_block) {
  bind();
  return turn(may_block);
}

// The order is what users may rely on: what was scheduled before a turn runs before the turn's
// events, so that a bottom half can prepare for them, and timers come last, so that a deadline that
// has passed while its event was waiting loses against the event. A nested turn goes through the
// same steps, and does what the outer one has collected and not yet called.
bool Context::turn(bool may_block) noexcept {
  ++stats_.turns;
  const nanoseconds limit = may_block ? time_to_next_work() : nanoseconds(0);
  if (limit == nanoseconds(0)) {
    look();
  } else {
    wait_for_work(limit);
  }
  accept_wakeup();
  bool progress = run_queued();
  progress |= fds_.dispatch();
  if (!sources_.empty()) {
    progress |= sources_.dispatch(activity_);
  }
  progress |= fire_timers();
  if (progress) {
    tell(TraceEvent::Kind::kDispatch, nanoseconds(0));
  } else {
    run_idle();
  }
  return progress;
}

nanoseconds Context::time_to_next_work() const {
  if (!queue_.empty() || has_work()) {
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

bool Context::run_queued() {
  remote_.drain(queue_);
  queue_.begin_batch();
  if (activity_ != nullptr) [[unlikely]] {
    return run_watched(queue_, *activity_, Activity::Step::kBottomHalf);
  }
  bool ran = false;
  while (queue_.run_one()) {
    ran = true;
  }
  return ran;
}

bool Context::run_watched(RunQueue& queue, Activity& activity, Activity::Step step) {
  bool ran = false;
  while (const RunNode* node = queue.next()) {
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
    run_watched(idle_, *activity_, Activity::Step::kIdle);
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
  while (!done()) {
    turn(true);
    run_batches(done);
  }
  monitor_->settle();
}

// A hop between coroutines of this thread costs what a queue costs, not what a look at the kernel
// does.
template <typename Done>
void Context::run_batches(Done done) noexcept {
  constexpr unsigned kBatchesPerClockReading = 32;
  TimePoint end;
  for (unsigned batch = 0; !queue_.empty() && batch < options_.nodes_between_looks; ++batch) {
    if (batch == 0) {
      end = std::chrono::steady_clock::now() + options_.time_between_looks;
    } else if (batch % kBatchesPerClockReading == 0 && std::chrono::steady_clock::now() >= end) {
      return;
    }
    if (done()) {
      return;
    }
    run_queued();
  }
}

// --- the kernel ---------------------------------------------------------------------------------

void Context::collect(nanoseconds timeout) {
  if (fds_.watched() >= migrate_at_) {
    move_to(monitor_for_many(fds_.watched()));
  }
  ready_.clear();
  fds_.looked();
  const absl::Status status = monitor_->wait(timeout, ready_);
  for (const FdEvent& ready : ready_) {
    if (ready.key == wakeup_key_) {
      wakeup_.drain();
      monitor_->want(wakeup_key_, Events::kIn);
    } else {
      fds_.report(ready.key, ready.events);
    }
  }
  // The back end has begun to fail: a sandbox was installed, or the kernel is out of something.
  if (!status.ok()) {
    check(monitor_->name() != "ppoll", "ppoll fails, and there is nothing left to move to");
    move_to(next_monitor(*monitor_, status));
  }
}

// Nothing is lost, since the table knows every watch, and the next monitor reports what is ready.
void Context::move_to(SelectedMonitor next) {
  absl::StrAppend(&reason_, "; ", next.reason);
  monitor_ = std::move(next.monitor);
  migrate_at_ = next.migrate_at;
  ++stats_.moves;
  fds_.move_to(*monitor_);
  watch_wakeup();
}

}  // namespace coaio
