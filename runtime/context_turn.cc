// The turn of the loop, and turns in a row.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "backends/check.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/run_queue.h"
#include "runtime/run_slice.h"
#include "runtime/time/clock.h"
#include "runtime/trace.h"

namespace coaio {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

// For how long a turn sleeps while idle bottom halves are scheduled.
constexpr nanoseconds kIdlePatience = std::chrono::milliseconds(10);

// Null outside of turns.
thread_local constinit Context* t_current = nullptr;

}  // namespace

// --- the context that runs this thread ----------------------------------------------------------

class Context::Current {
 public:
  explicit Current(Context& context)
      : context_(context), outer_(std::exchange(t_current, &context)) {
    if (context_.running_++ != 0) [[unlikely]] {
      begin_nested();
    }
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() {
    if (--context_.running_ != 0) [[unlikely]] {
      end_nested();
    }
    t_current = outer_;
  }

 private:
  // A task that nests turns keeps the coop budget that it has left: the loop refills the budget for
  // each task that it resumes in the nested turn, and the stack of the outer one would grow without
  // bound. Nor may the nested turn resume the task, which is not suspended.
  [[gnu::noinline]] void begin_nested() {
    budget_left_ = context_.coop_budget_;
    task_ = context_.set_resumed(nullptr);
    if (task_ != nullptr) {
      function_ = task_->function();
      task_->set_function(&ContextAccess::resumed_inside_itself);
    }
  }

  [[gnu::noinline]] void end_nested() {
    context_.coop_budget_ = budget_left_;
    context_.set_resumed(task_);
    if (task_ != nullptr) {
      task_->set_function(function_);
    }
  }

  Context& context_;
  Context* const outer_;

  // Of the outer turn, while this one is nested in it on the same context.
  unsigned budget_left_ = 0;
  RunNode* task_ = nullptr;
  RunNode::Run function_ = nullptr;
};

void ContextAccess::resumed_inside_itself(RunNode& /*task*/) {
  fail(
      "a task that runs a nested turn is resumed inside itself: an awaitable schedules or resumes "
      "a task once for each suspension, and not while the task runs");
}

// Not inlined: a coroutine may resume on another thread, and a compiler that sees a thread-local
// may keep its address across the suspension.
[[gnu::noinline]] bool Context::has_current() {
  return t_current != nullptr && !t_current->was_forked();
}

[[gnu::noinline]] Context& Context::current() {
  check(has_current(),
        "Context::current() is called outside of a turn: it is for tasks and callbacks");
  return *t_current;
}

// --- the turn -----------------------------------------------------------------------------------

bool Context::poll(bool may_block) {
  bind();
  const Current current(*this);
  return turn(may_block);
}

// Inlined, for it runs once for each hop of a coroutine.
[[gnu::always_inline]] inline bool Context::run_queued(RunSlice* slice) {
  remote_.drain(queue_);
  queue_.begin_batch();
  if (activity_ != nullptr) [[unlikely]] {
    return run_watched(queue_, slice);
  }
  bool ran = false;
  while (queue_.next() != nullptr && (slice == nullptr || slice->may_run())) {
    run_next(queue_);
    ran = true;
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
  // An empty turn makes no call for the steps that it does not need.
  if (fds_.has_reports() || fds_.suspended_handlers()) {
    progress |= dispatch_fds();
  }
  if (!sources_.empty()) {
    progress |= sources_.dispatch(activity_);
  }
  if (timers_.size() != 0 || wall_timers_.size() != 0) {
    progress |= fire_timers();
  }
  if (progress) {
    tell(TraceEvent::Kind::kDispatch, nanoseconds(0));
  } else if (!events_first && !idle_.empty()) {
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

bool Context::run_watched(RunQueue& queue, RunSlice* slice) {
  bool ran = false;
  while (const RunNode* node = queue.next()) {
    if (slice != nullptr && !slice->may_run()) {
      break;
    }
    const Activity::Doing doing(activity_, node->info());
    run_next(queue);
    ran = true;
  }
  return ran;
}

// A batch of the kernel may hold nothing but reports to handlers that must not be called now, and
// what is ready behind them comes with the next batch. Each of these handlers is reported once.
bool Context::dispatch_fds() {
  bool called = fds_.dispatch();
  while (!called && fds_.suspended_handlers()) {
    poll_kernel();
    called = fds_.dispatch();
  }
  return called;
}

bool Context::fire_timers() {
  const bool fired = timers_.size() != 0 && timers_.fire_due(clock_->now(), activity_) != 0;
  return wall_timers_.fire_due(activity_) || fired;
}

void Context::run_idle() {
  idle_.begin_batch();
  if (activity_ != nullptr) [[unlikely]] {
    run_watched(idle_, nullptr);
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

void Context::run_until(const bool& done, absl::AnyInvocable<void()> stopped) {
  run_turns([&] {
    // Acquire: pairs with the release in stop().
    if (stopped_.load(std::memory_order_acquire)) [[unlikely]] {
      stopped_.store(false, std::memory_order_relaxed);
      stopped();
    }
    return done;
  });
}

template <typename Done>
void Context::run_turns(Done done) {
  bind();
  const Current current(*this);
  slice_.begin();
  while (!done()) {
    affinity_.check_not_forked();  // a callback forked, and its child has returned from it
    turn(true, &slice_);
    finish_slice(done);
  }
  fds_.settle();
}

// A hop between coroutines of this thread costs what a queue costs, not what a look at the kernel
// does.
template <typename Done>
void Context::finish_slice(Done done) noexcept {
  while (!queue_.empty() && !done() && run_queued(&slice_)) {
  }
}

}  // namespace coaio
