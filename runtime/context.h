// Context: one event loop. Usually one per thread.
//
//   absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
//   (*context)->set_fd_handler(fd, {.read = [&] { ... }});
//   (*context)->run();                         // until somebody calls stop()
//
// Coroutines are run on it by coro/run.h; everything here works without them.
//
// Threads: the home thread is the one that first calls bind(), poll(), run() or run_until(); before
//   that, and after that thread has ended, one thread at a time may use the context. From other
//   threads only schedule, post, notify, stop, set_fd_handler and remove_fd_handler_and_wait are
//   legal; schedule_from_signal and notify also in signal handlers.
// Lifetime: a context outlives what is scheduled, armed and waiting on it, which is checked, and
//   the calls from other threads. It is destroyed on its home thread, or after that thread has
//   ended. It does not survive a fork: in the child it and those who use it can only be destroyed.
// Errors: create() fails when the back end that was asked for is not available, or descriptors are
//   exhausted; the status names the errno and the fix. Misuse is checked, and aborts with a
//   sentence. An exception that leaves a callback terminates; those of tasks go to whoever awaits
//   them.

#ifndef COAIO_RUNTIME_CONTEXT_H_
#define COAIO_RUNTIME_CONTEXT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/fd_monitor.h"
#include "runtime/activity.h"
#include "runtime/fd_table.h"
#include "runtime/fork_generation.h"
#include "runtime/home_thread.h"
#include "runtime/poll_source.h"
#include "runtime/polling/poll_budget.h"
#include "runtime/polling/poll_guard.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/remote_queue.h"
#include "runtime/run_queue.h"
#include "runtime/source_list.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"
#include "runtime/time/wall_timer_queue.h"
#include "runtime/trace.h"
#include "runtime/wakeup.h"

namespace coaio {

struct ContextOptions {
  Backend backend = Backend::kAuto;

  // The number of watches at which a context of kAuto that cannot have io_uring moves from ppoll to
  // epoll. 0: it begins on epoll, which is as fast for one and faster for all but a handful of
  // descriptors that are all busy (docs/decisions.md has the figures).
  std::size_t epoll_threshold = 0;

  PollPolicy polling = PollOff{};

  // The share of a CPU that polling may take, over any 100 ms and whatever the policy: from 0 to 1.
  double polling_share = 1.0;

  // Whether polling also ends where it would hurt: when it would spend the CPU quota of the cgroup,
  // when others want the CPU, and when the partner needs it (poll_guard.h). False for measurements.
  bool polling_gives_way = true;

  // A poll source with a doorbell that has not been ready for this long is not polled any more,
  // until its doorbell rings.
  std::chrono::nanoseconds idle_source_limit = std::chrono::seconds(7);

  // Null: CLOCK_MONOTONIC. Outlives the context.
  const Clock* clock = nullptr;

  // Null: CLOCK_REALTIME. For timers by the time of day. Outlives the context.
  const WallClock* wall_clock = nullptr;

  // The home thread's timer slack (prctl PR_SET_TIMERSLACK): by how much the kernel may delay the
  // end of a wait to save wake-ups. The kernel's default is 50 µs. Empty: leave it alone.
  std::optional<std::chrono::nanoseconds> timer_slack = std::chrono::nanoseconds(1);

  // How often, and for how long, run() runs what is queued before it looks at the kernel again. A
  // look costs a system call; what it would find waits for at most this long.
  unsigned nodes_between_looks = 128;
  std::chrono::nanoseconds time_between_looks = std::chrono::microseconds(50);
};

// Counted on the home thread, readable there at no cost.
struct ContextStats {
  std::uint64_t turns = 0;
  std::uint64_t looks = 0;      // at the kernel, without sleeping
  std::uint64_t waits = 0;      // that were allowed to sleep
  std::uint64_t polls = 0;      // times that the loop looked for work in user space before a wait,
  std::uint64_t poll_hits = 0;  // and found some
  std::uint64_t wakeups = 0;    // turns that began with something from elsewhere
  std::uint64_t moves = 0;      // to another back end
  std::chrono::nanoseconds polled{0};  // of CPU time, nearly
  PollGuardStats guard;                // what kept it from polling
};

class Context {
 public:
  static absl::StatusOr<std::unique_ptr<Context>> create(const ContextOptions& options = {});

  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // --- running it: the home thread --------------------------------------------------------------

  // Makes the calling thread the home thread.
  void bind();

  // One turn. Returns true if anything but a wake-up happened. With may_block it sleeps until there
  // is something to do. May be called from whatever the loop calls, to any depth; waiting inside
  // for something that an outer call has yet to finish deadlocks.
  bool poll(bool may_block);

  // Turns until stop(), which ends one run(), the one in progress or the next.
  void run();

  // Turns until `done` is true.
  void run_until(const bool& done);

  // --- from any thread --------------------------------------------------------------------------

  // Makes run() return after the step in progress; one that has not begun returns at once.
  void stop();

  // Ends the sleep of the loop, if it sleeps, or the next one. Legal in signal handlers.
  void notify();

  // Queues the node; it runs in the next step for bottom halves. No-op while it is queued.
  void schedule(RunNode& node);

  // The same for signal handlers, on whatever thread they run.
  void schedule_from_signal(RunNode& node);

  // Calls the function on the home thread. Allocates.
  void post(absl::AnyInvocable<void()> function);

  // Replaces the callbacks for a descriptor; empty ones remove it. Remove, then close: at home, the
  // old callbacks are not called any more when this returns, and close(2) closes the file. From
  // elsewhere, the change is queued.
  void set_fd_handler(int fd, FdHandlers handlers);

  // Removes the handlers and returns when they are not called any more, nor running, and the
  // descriptor may be closed. The home thread must be in a turn, or come to one, and must not wait
  // for the caller.
  void remove_fd_handler_and_wait(int fd);

  // --- at home ----------------------------------------------------------------------------------

  bool is_home() const { return home_.is_here(); }

  // Queues the node for the first turn that finds nothing else to do, which is not counted as
  // progress; the loop sleeps at most 10 ms before it. A node is used with this or with schedule(),
  // not both.
  void schedule_idle(RunNode& node);

  // Takes back what was scheduled so far, from wherever.
  void cancel(RunNode& node);

  void arm(TimerNode& node, TimePoint deadline) {
    check_home();
    timers_.arm(node, deadline);
  }
  bool cancel(TimerNode& node) {
    return may_take_back() ? timers_.cancel(node) : TimerQueue::abandon(node);
  }

  // The same by the time of day: a timer fires when the clock shows its deadline, however it got
  // there. A timer is armed and cancelled by one of the two kinds.
  void arm_wall(TimerNode& node, WallTime deadline);
  bool cancel_wall(TimerNode& node) {
    return may_take_back() ? wall_timers_.cancel(node) : TimerQueue::abandon(node);
  }

  // Makes room for this many timers, so that arming does not allocate.
  void reserve_timers(std::size_t count) { timers_.reserve(count); }

  // From add() to remove() the loop looks at the source in every turn, and while it polls.
  void add(PollSource& source) {
    check_home();
    sources_.add(source);
  }
  void remove(PollSource& source) {
    if (may_take_back()) {
      sources_.remove(source);
      monitor_->settle();  // the owner may close the doorbell
    } else {
      SourceList::abandon(source);
    }
  }

  bool has(const PollSource& source) const { return sources_.has(source); }

  // Between the two, which nest, no handler is called that is marked external.
  void disable_external();
  void enable_external();

  TimePoint now() const { return clock_->now(); }
  const Clock& clock() const { return *clock_; }

  FdTable& fds() {
    static_cast<void>(may_take_back());
    return fds_;
  }

  // For those who end waits in fds(): when it returns, the kernel holds no file on account of a
  // wait that has ended, so that close(2) closes the file. One call does for all of them. Does
  // nothing in a forked child.
  void settle() {
    if (may_take_back()) {
      monitor_->settle();
    }
  }

  // "ppoll", "epoll" or "io_uring", and why it is this one: what was asked for, and what each back
  // end that was passed over said.
  absl::string_view backend() const { return monitor_->name(); }
  const std::string& backend_reason() const { return reason_; }

  const ContextStats& stats() const { return stats_; }

  // Both take effect with the next wait.
  void set_polling(const PollPolicy& policy) {
    check_home();
    budget_ = PollBudget(policy);
    sources_.set_policy(policy);
  }
  void set_polling_share(double share) {
    check_home();
    guard_.set_share(share);
  }

  // Null, as in the beginning: nobody is told.
  void set_trace(Trace trace) { trace_ = std::move(trace); }

  // For a Watchdog: says in words that another thread may read what is being called, which costs a
  // little, until unwatch(). They last as long as the context.
  const Activity& watch();
  void unwatch();

  // For coroutines: work that completes without suspending asks before it goes on. False once in a
  // while: then it goes through the queue, so that neither the stack nor others' waiting grows
  // without bound. The loop grants a new allowance with each resumption.
  bool may_go_on() {
    if (allowance_ == 0) {
      return false;
    }
    --allowance_;
    return true;
  }
  void grant_allowance() { allowance_ = kAllowance; }

 private:
  static constexpr unsigned kAllowance = 64;

  Context(const ContextOptions& options, SelectedMonitor selected);

  // The steps of a turn.
  bool turn(bool may_block) noexcept;
  std::chrono::nanoseconds time_to_next_work() const;
  bool look();
  bool glance();
  bool kernel_is_due();
  void ask_without_sleeping();
  void wait_for_work(std::chrono::nanoseconds limit);
  std::chrono::nanoseconds budget() const;
  bool finds_work_at_once();
  PollRecord search_late(std::chrono::nanoseconds limit, TimePoint start, WaitOutcome& wait);
  void learn(const WaitOutcome& wait);
  void sleep_until_work(std::chrono::nanoseconds tail);
  void sleep_towards_timer(std::chrono::nanoseconds rest, std::chrono::nanoseconds tail);
  bool has_work() const;
  PollRecord poll_for(std::chrono::nanoseconds budget, TimePoint start);
  void sleep(std::chrono::nanoseconds limit);
  void accept_wakeup();
  bool run_queued();
  static bool run_watched(RunQueue& queue, Activity& activity, Activity::Step step);
  bool fire_timers();
  void run_idle();

  template <typename Done>
  void run_turns(Done done);
  template <typename Done>
  void run_batches(Done done) noexcept;
  void schedule_remotely(RunNode& node);
  void collect(std::chrono::nanoseconds timeout);
  void move_to(SelectedMonitor next);
  void watch_wakeup();
  void clock_was_set();

  void tell(TraceEvent::Kind kind, std::chrono::nanoseconds duration) {
    if (trace_ != nullptr) [[unlikely]] {
      trace_({.kind = kind, .duration = duration});
    }
  }
  void check_home() const {
    if (!home_.is_here()) [[unlikely]] {  // so it is in a forked child
      check_not_forked();
      check_may_act();
    }
  }
  void check_may_act() const {
    check(home_.may_act(), "a context is used by another thread than its home: post() the call");
  }
  // False in a forked child, where those who used the context may end, and do nothing else: its
  // queues may have been copied in the middle of a change.
  bool may_take_back() const {
    if (home_.is_here()) [[likely]] {
      return true;
    }
    if (was_forked()) {
      return false;
    }
    check_may_act();
    return true;
  }
  bool was_forked() const { return fork_generation() != born_in_; }
  void check_not_forked() const {
    check(!was_forked(), "a context is used in a forked child: make a new one there");
  }
  std::string discard_queued();

  std::unique_ptr<FdMonitor> monitor_;
  std::size_t migrate_at_;  // this number of watches, to another monitor
  FdTable fds_;
  RunQueue queue_;
  RunQueue idle_;
  TimerQueue timers_;
  WallTimerQueue wall_timers_;
  SourceList sources_;
  unsigned glances_ = 0;
  TimePoint asked_kernel_{};
  bool watches_clock_ = false;
  PollBudget budget_;
  ContextStats stats_;
  PollGuard guard_;
  unsigned allowance_ = kAllowance;
  const Clock* clock_;
  Activity* activity_ = nullptr;  // while somebody watches
  std::unique_ptr<Activity> watched_activity_;
  Trace trace_;
  std::vector<FdEvent> ready_;  // what one wait reports
  Key wakeup_key_;
  const ContextOptions options_;
  std::string reason_;

  const std::uint32_t born_in_ = fork_generation();
  HomeThread home_;

  // What other threads write to is kept off the lines above; and what each of them writes, off what
  // they only read while the loop is awake.
  alignas(64) RemoteQueue remote_;
  alignas(64) Wakeup wakeup_;
  std::atomic<bool> stopped_{false};
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_CONTEXT_H_
