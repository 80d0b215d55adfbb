#include "runtime/context.h"

#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/clock.h"
#include "runtime/fd_table.h"
#include "runtime/poll_policy.h"
#include "runtime/run_queue.h"

namespace coaio {
namespace {

using std::chrono::nanoseconds;

thread_local char t_here = 0;

// Not inlined: a coroutine may resume on another thread, and a compiler that sees the thread-local may
// keep its address across the suspension.
[[gnu::noinline]] const void* this_thread() { return &t_here; }

// Tells the processor that this is a waiting loop.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

struct Posted : RunNode {
  explicit Posted(absl::AnyInvocable<void()> f) : RunNode(&Posted::call), function(std::move(f)) {}

  static void call(RunNode& node) {
    const std::unique_ptr<Posted> self(static_cast<Posted*>(&node));
    self->function();
  }

  absl::AnyInvocable<void()> function;
};

}  // namespace

// --- life -----------------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Context>> Context::create(const ContextOptions& options) {
  absl::StatusOr<SelectedMonitor> selected = select_monitor(options.backend);
  if (!selected.ok()) {
    return selected.status();
  }
  std::unique_ptr<Context> context(new Context(options, *std::move(selected)));
  if (absl::Status status = context->wakeup_.open(); !status.ok()) {
    return status;
  }
  context->watch_wakeup();
  return context;
}

Context::Context(const ContextOptions& options, SelectedMonitor selected)
    : monitor_(std::move(selected.monitor)),
      fds_(*monitor_),
      budget_(options.polling),
      clock_(options.clock == nullptr ? &Clock::steady() : options.clock),
      options_(options),
      reason_(std::move(selected.reason)) {}

Context::~Context() {
  remote_.drain(queue_);
  while (RunNode* node = queue_.take()) {
    if (node->function() == &Posted::call) {
      const std::unique_ptr<Posted> never_called(static_cast<Posted*>(node));
    }
  }
}

void Context::watch_wakeup() {
  wakeup_key_ = {.slot = static_cast<std::uint32_t>(wakeup_.fd()),
                 .generation = std::numeric_limits<std::uint32_t>::max()};
  monitor_->arm(wakeup_.fd(), wakeup_key_, Events::kIn, Trigger::kEdge);
  monitor_->want(wakeup_key_, Events::kIn);
}

void Context::bind() {
  const void* home = home_.load(std::memory_order_relaxed);
  if (home == this_thread()) {
    return;
  }
  check(home == nullptr, "a context is run by a second thread: make a context per thread");
  home_.store(this_thread(), std::memory_order_relaxed);
  if (options_.timer_slack.has_value()) {
    // Refused in some sandboxes; the loop is then as precise as the default allows.
    prctl(PR_SET_TIMERSLACK, options_.timer_slack->count(), 0, 0, 0);
  }
}

bool Context::is_home() const { return home_.load(std::memory_order_relaxed) == this_thread(); }

// --- the turn -------------------------------------------------------------------------------------------

bool Context::poll(bool may_block) {
  bind();
  return turn(may_block);
}

// The order is what users may rely on: what was scheduled before a turn runs before the turn's events,
// so that a bottom half can prepare for them, and timers come last, so that a deadline that has passed
// while its event was waiting loses against the event.
bool Context::turn(bool may_block) {
  ++figures_.turns;
  const nanoseconds limit = may_block ? time_to_next_work() : nanoseconds(0);
  if (limit == nanoseconds(0)) {
    look();
  } else {
    wait_for_work(limit);
  }
  accept_wakeup();
  bool progress = run_queued();
  progress |= fds_.dispatch();
  progress |= fire_timers();
  return progress;
}

nanoseconds Context::time_to_next_work() const {
  if (!queue_.empty() || !remote_.empty() || fds_.has_reports() || wakeup_.notified()) {
    return nanoseconds(0);
  }
  const TimePoint deadline = timers_.next_deadline();
  return deadline == TimePoint::max() ? FdMonitor::kForever : clock_->until(deadline);
}

// Asks the kernel without sleeping, and without a system call where user space can tell.
void Context::look() {
  const Peek peek = monitor_->peek();
  if (peek == Peek::kReady || (peek == Peek::kCannotTell && fds_.worth_a_look())) {
    ++figures_.looks;
    collect(nanoseconds(0));
  }
}

void Context::wait_for_work(nanoseconds limit) {
  const nanoseconds budget = std::min(budget_.budget(), limit);
  if (budget == nanoseconds(0) && !budget_.learns()) {
    sleep(limit);
    return;
  }
  const TimePoint start = std::chrono::steady_clock::now();
  if (budget == nanoseconds(0) || !find_work_in_user_space(start, budget)) {
    sleep(time_to_next_work());
  }
  if (budget_.learns()) {
    budget_.waited(std::chrono::steady_clock::now() - start);
  }
}

bool Context::find_work_in_user_space(TimePoint start, nanoseconds budget) {
  ++figures_.polls;
  TimePoint now = start;
  bool found = false;
  do {
    look();
    found = fds_.has_reports() || wakeup_.notified();
    if (!found) {
      relax();
    }
    now = std::chrono::steady_clock::now();
  } while (!found && now - start < budget);
  figures_.polled += now - start;
  figures_.poll_hits += found ? 1 : 0;
  return found;
}

void Context::sleep(nanoseconds limit) {
  if (wakeup_.announce_sleep()) {
    ++figures_.waits;
    collect(limit);
  }
}

void Context::accept_wakeup() {
  if (wakeup_.notified()) {
    ++figures_.wakeups;
  }
  wakeup_.accept();
}

bool Context::run_queued() {
  remote_.drain(queue_);
  const RunQueue::Mark before = queue_.mark();
  bool ran = false;
  while (queue_.run_one(before)) {
    ran = true;
  }
  return ran;
}

bool Context::fire_timers() {
  return timers_.size() != 0 && timers_.fire_due(clock_->now()) != 0;
}

// --- turns in a row -------------------------------------------------------------------------------------

void Context::run() {
  bind();
  // Acquire: pairs with the release in stop(), so that what the stopper wrote is seen after run().
  while (!stopped_.load(std::memory_order_acquire)) {
    turn(true);
    run_batches();
  }
  stopped_.store(false, std::memory_order_relaxed);  // the next run() begins afresh
}

void Context::run_until(const bool& done) {
  bind();
  while (!done) {
    turn(true);
    if (!done) {
      run_batches();
    }
  }
}

// A hop between coroutines of this thread costs what a queue costs, not what a look at the kernel does.
void Context::run_batches() {
  constexpr unsigned kBatchesPerClockReading = 32;
  TimePoint end;
  for (unsigned batch = 0; !queue_.empty() && batch < options_.batches_between_looks; ++batch) {
    if (batch == 0) {
      end = std::chrono::steady_clock::now() + options_.time_between_looks;
    } else if (batch % kBatchesPerClockReading == 0 && std::chrono::steady_clock::now() >= end) {
      return;
    }
    run_queued();
  }
}

// --- from elsewhere -------------------------------------------------------------------------------------

void Context::stop() {
  stopped_.store(true, std::memory_order_release);  // pairs with the acquire in run()
  notify();
}

void Context::notify() { wakeup_.notify(); }

void Context::schedule(RunNode& node) {
  if (is_home()) {
    queue_.push(node);
  } else {
    schedule_remotely(node);
  }
}

// The interrupted code may be in the middle of a change of the home queue.
void Context::schedule_from_signal(RunNode& node) { schedule_remotely(node); }

void Context::schedule_remotely(RunNode& node) {
  if (remote_.push(node)) {
    wakeup_.notify();
  }
}

void Context::cancel(RunNode& node) {
  remote_.drain(queue_);  // it may be on its way
  RunQueue::remove(node);
}

void Context::post(absl::AnyInvocable<void()> function) {
  schedule(*std::make_unique<Posted>(std::move(function)).release());
}

void Context::set_fd_handler(int fd, FdHandlers handlers) {
  if (is_home() || home_.load(std::memory_order_relaxed) == nullptr) {
    fds_.set_handlers(fd, std::move(handlers));
  } else {
    post([this, fd, change = std::move(handlers)]() mutable {
      fds_.set_handlers(fd, std::move(change));
    });
  }
}

// --- the kernel -----------------------------------------------------------------------------------------

void Context::collect(nanoseconds timeout) {
  ready_.clear();
  fds_.looked();
  const absl::Status status = monitor_->wait(timeout, ready_);
  for (const Ready& ready : ready_) {
    if (ready.key == wakeup_key_) {
      wakeup_.drain();
      monitor_->want(wakeup_key_, Events::kIn);
    } else {
      fds_.report(ready.key, ready.events);
    }
  }
  if (!status.ok()) {
    move_on(status);
  }
}

// The back end has begun to fail: a sandbox was installed, or the kernel is out of something. Nothing is
// lost, since the table knows every watch, and the next monitor reports what is ready.
void Context::move_on(const absl::Status& refusal) {
  check(monitor_->name() != "ppoll", "ppoll fails, and there is nothing left to move to");
  absl::StatusOr<SelectedMonitor> next = absl::UnavailableError("");
  if (monitor_->name() == "io_uring") {
    next = select_monitor(Backend::kEpoll);
  }
  if (!next.ok()) {
    next = select_monitor(Backend::kPpoll);
  }
  absl::StrAppend(&reason_, "; moved from ", monitor_->name(), " to ", next->monitor->name(), ": ",
                  refusal.message());
  monitor_ = std::move(next->monitor);
  ++figures_.moves;
  fds_.move_to(*monitor_);
  watch_wakeup();
}

}  // namespace coaio
