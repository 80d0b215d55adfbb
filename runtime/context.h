// Context: one event loop. Usually one per thread.
//
//   absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
//   (*context)->set_fd_handler(fd, {.read = [&] { ... }});
//   (*context)->run();                         // until somebody calls stop()
//
// Coroutines are run on it by coro/run.h; everything here works without them.
//
// Threads: the home thread is the one that first calls bind(), poll(), run() or run_until(); before
//   that, one thread at a time may use the context. From other threads only post, notify, stop,
//   set_fd_handler, remove_fd_handler_and_wait and the schedule() of a BottomHalf are legal;
//   notify() and schedule_from_signal() also in signal handlers. After the home thread has ended,
//   no thread can run the context: one thread at a time may cancel, remove and destroy what uses
//   it, and then the context. A thread ends after its thread-locals, and the main thread after the
//   statics: their destructors may still run a context of this thread.
// Lifetime: a context outlives what is scheduled, armed and waiting on it, tasks that are away on
//   other contexts and return to it, and the calls from other threads; all but the last is checked.
//   It is destroyed on its home thread, or after that thread has ended, and not by a callback that
//   it runs.
// Fork: a context cannot be used in a forked child, where each call fails with a sentence. What
//   takes back or destroys does nothing there: every cancel and remove, enable_external, an empty
//   set_fd_handler, and the destructors of the context and of all that uses it.
// Errors: create() fails when the back end that was asked for is not available, descriptors are
//   exhausted, or an option is out of range; the status names the errno or the value, and the fix.
//   Misuse is checked, and aborts with a sentence. An exception that leaves a callback terminates;
//   an exception that leaves a task goes to the task that awaits it.

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

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "runtime/activity.h"
#include "runtime/affinity.h"
#include "runtime/fd_table.h"
#include "runtime/kernel_port.h"
#include "runtime/poll_source.h"
#include "runtime/polling/adaptive_wait.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/poll_stats.h"
#include "runtime/remote_queue.h"
#include "runtime/run_queue.h"
#include "runtime/run_slice.h"
#include "runtime/sink.h"
#include "runtime/source_list.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/timer_slack.h"
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
  // No poll is longer than a quarter of what the share allows in 100 ms, or 5 ms: PollLearned
  // chooses shorter budgets, longer ones of PollFixed and PollGrowShrink are not polled at all.
  double polling_share = 1.0;

  // Whether polling also ends where it would hurt: when it would spend the CPU quota of the cgroup,
  // when others want the CPU, and when the partner needs it (poll_guard.h). False for measurements.
  bool polling_gives_way = true;

  // A poll source with a doorbell that has not been ready for this long is not polled any more,
  // until its doorbell rings.
  Duration idle_source_limit = std::chrono::seconds(7);

  // Null: CLOCK_MONOTONIC. Outlives the context.
  const Clock* clock = nullptr;

  // Null: CLOCK_REALTIME. For timers by the time of day. Outlives the context.
  const WallClock* wall_clock = nullptr;

  // The home thread's timer slack (prctl PR_SET_TIMERSLACK): by how much the kernel may delay the
  // end of a wait to save wake-ups. The kernel's default is 50 µs. Empty: leave it alone. The last
  // context of a thread gives the thread its former slack back. A child process that the home
  // thread makes with fork() has the former slack, too; threads that it starts, and programs that
  // it starts with posix_spawn() or vfork(), inherit the slack that is set here: start them from
  // another thread if that matters.
  std::optional<Duration> timer_slack = std::chrono::nanoseconds(1);

  // How many queued bottom halves and tasks run() goes on with, and for how long, before it looks
  // at the kernel and at the timers again. A look costs a system call; what it would find waits for
  // at most this long and for the node that runs then. Nodes that are queued meanwhile come after
  // the events and timers that are found.
  unsigned nodes_between_looks = 1024;
  Duration time_between_looks = std::chrono::microseconds(50);

  // Hears what an operator should know (sink.h). Empty: messages are counted and kept only.
  Sink sink = nullptr;
};

// Counted on the home thread, readable there at no cost.
struct ContextStats : PollStats {
  std::uint64_t turns = 0;
  std::uint64_t looks = 0;    // at the kernel, without sleeping
  std::uint64_t waits = 0;    // that were allowed to sleep
  std::uint64_t wakeups = 0;  // turns that began with something from elsewhere
  std::uint64_t moves = 0;    // to another back end
};

namespace internal {
class ContextAccess;
}  // namespace internal

class Context final : private internal::AdaptiveWait::Loop {
 public:
  static absl::StatusOr<std::unique_ptr<Context>> create(const ContextOptions& options = {});

  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // The context whose turn the calling thread runs: in a task, the context of the task; in a
  // callback, the context that calls it. The innermost one where turns nest. Checks that there is
  // one; the child of a fork inside a turn has none.
  static Context& current();
  static bool has_current();

  // --- running it: the home thread --------------------------------------------------------------

  // Makes the calling thread the home thread.
  void bind();

  // One turn. Returns true if anything but a wake-up and idle bottom halves happened. With
  // may_block it sleeps until there is something to do. May be called from whatever the loop calls,
  // to any depth; waiting inside for something that an outer call has yet to finish deadlocks.
  bool poll(bool may_block);

  // Turns until stop(), which ends one run(), the one in progress or the next.
  void run();

  // Turns until `done` is true. stop() does not end them.
  void run_until(const bool& done);

  // The same; each stop() calls `stopped` between two turns, on the home thread.
  void run_until(const bool& done, absl::AnyInvocable<void()> stopped);

  // --- from any thread --------------------------------------------------------------------------

  // Ends one run, the one in progress or the next: run() returns after the turn in progress;
  // coaio::run(context, task) requests the cancellation of its task, and returns when the task has
  // ended.
  void stop();

  // Ends the sleep of the loop, if it sleeps, or the next one. Legal in signal handlers.
  void notify();

  // Calls the function on the home thread. Allocates.
  void post(absl::AnyInvocable<void()> function);

  // Replaces the callbacks for a descriptor; empty ones remove it. Remove, then close. On the home
  // thread the old callbacks are not called any more when this returns, and close(2) closes the
  // file. From any other thread, and before the context has a home thread, the change is queued:
  // the next turn makes it.
  void set_fd_handler(int fd, FdHandlers handlers);

  // Counts a message, keeps it as the last one, and passes it to the sink, on the calling thread.
  // For what an operator should know; one sentence, which is not repeated at every turn.
  void tell_sink(absl::string_view sentence) { messages_.tell(sentence); }

  // How many messages there were, and the last one.
  std::uint64_t messages() const { return messages_.count(); }
  std::string last_message() const { return messages_.last(); }

  // Removes the handlers and returns when they are not called any more, nor running, and the
  // descriptor may be closed. On another thread than the home thread it blocks until the home
  // thread runs a turn: for ever if no thread runs the context, or if the home thread waits for the
  // caller. A thread that is going to be the home thread calls bind() first.
  void remove_fd_handler_and_wait(int fd);

  // --- at home ----------------------------------------------------------------------------------

  bool is_home() const { return affinity_.is_home(); }

  // Whether the calling thread may do what only the home thread may: it is that thread, or there is
  // none yet, or that thread has ended.
  bool may_act() const { return affinity_.may_act(); }

  // Makes room for this many timers, so that arming does not allocate.
  void reserve_timers(std::size_t count) { timers_.reserve(count); }

  // Gives up a descriptor that coaio has only borrowed: waits for it (readable(), ready(), ...) end
  // with kCancelled, each in its task's own time, and its handlers are removed. When this returns,
  // the descriptor may be closed. A descriptor that a stream owns is closed by the stream.
  void release_fd(int fd);

  // Between the two, which nest, no handler is called that is marked external.
  void disable_external();
  void enable_external();

  TimePoint now() const { return clock_->now(); }
  const Clock& clock() const { return *clock_; }

  // "ppoll", "epoll" or "io_uring", and why it is this one: what was asked for, and what each back
  // end that was passed over said.
  absl::string_view backend() const { return kernel_.name(); }
  const std::string& backend_reason() const { return kernel_.reason(); }

  const ContextStats& stats() const { return stats_; }

  // Both take effect with the next wait. Values that create() would refuse are checked: validate()
  // a policy of doubtful origin before.
  void set_polling(const PollPolicy& policy);
  void set_polling_share(double share);

  // Null, as in the beginning: no trace.
  void set_trace(Trace trace) { trace_ = std::move(trace); }

  // Whether the calling process was forked from the one that made this context. What uses a context
  // ends silently then: the queues and tables may have been copied in the middle of a change, and
  // what the kernel keeps belongs to the parent as well.
  bool was_forked() const { return affinity_.was_forked(); }

 private:
  friend class internal::ContextAccess;  // and says what these are

  static constexpr unsigned kCoopBudget = 64;

  class Current;  // a call that runs turns, which is on the stack

  Context(const ContextOptions& options, SelectedMonitor selected);

  // --- for ContextAccess ------------------------------------------------------------------------

  void schedule(internal::RunNode& node);
  void schedule_from_signal(internal::RunNode& node);
  void schedule_idle(internal::RunNode& node);
  void cancel(internal::RunNode& node);
  void arm(internal::TimerNode& node, TimePoint deadline) {
    affinity_.check_home();
    timers_.arm(node, deadline);
  }
  bool cancel(internal::TimerNode& node) {
    return affinity_.may_take_back() ? timers_.cancel(node) : internal::TimerQueue::abandon(node);
  }
  void arm_wall(internal::TimerNode& node, WallTime deadline);
  bool cancel_wall(internal::TimerNode& node) {
    return affinity_.may_take_back() ? wall_timers_.cancel(node)
                                     : internal::TimerQueue::abandon(node);
  }
  void add(PollSource& source);
  void remove(PollSource& source);
  void settle();
  internal::FdTable& fds() {
    affinity_.check_home();
    return fds_;
  }
  bool consume_budget() {
    if (coop_budget_ == 0) {
      return false;
    }
    --coop_budget_;
    return true;
  }
  void refill_budget() { coop_budget_ = kCoopBudget; }
  internal::RunNode* set_resumed(internal::RunNode* task) { return std::exchange(resumed_, task); }
  const internal::Activity& watch();
  void unwatch();
  void task_left() { ++away_tasks_; }
  void task_returned() { --away_tasks_; }

  // --- a turn -----------------------------------------------------------------------------------

  bool turn(bool may_block, internal::RunSlice* slice = nullptr) noexcept;
  void find_work(bool may_block);
  void accept_wakeup();
  bool run_queued(internal::RunSlice* slice);
  bool run_watched(internal::RunQueue& queue, internal::RunSlice* slice);
  bool run_one(internal::RunQueue& queue) {
    const bool ran = queue.run_one();
    resumed_ = nullptr;
    return ran;
  }
  bool dispatch_fds();
  bool fire_timers();
  void run_idle();

  template <typename Done>
  void run_turns(Done done);
  template <typename Done>
  void finish_slice(Done done) noexcept;

  // --- waiting: what AdaptiveWait asks of the loop ----------------------------------------------

  Probe probe() override;
  void sleep(std::chrono::nanoseconds limit) override;
  bool has_work() const override;
  std::chrono::nanoseconds time_to_next() const override;

  bool probe_fully();
  bool probe_cheaply();
  bool kernel_is_due();
  void poll_kernel();

  // ----------------------------------------------------------------------------------------------

  void tell(TraceEvent::Kind kind, std::chrono::nanoseconds duration) {
    if (trace_ != nullptr) [[unlikely]] {
      trace_({.kind = kind, .duration = duration});
    }
  }
  void schedule_remotely(internal::RunNode& node);
  std::string discard_queued();
  void discard_posted(internal::RunQueue& kept);

  const ContextOptions options_;
  const Clock* clock_;
  ContextStats stats_;
  Trace trace_;

  // Work of each kind. The kernel port refers to the fd table and to the wake-up.
  internal::KernelPort kernel_;
  internal::FdTable fds_;
  internal::RunQueue queue_;
  internal::RunQueue idle_;
  internal::TimerQueue timers_;
  internal::WallTimerQueue wall_timers_;
  internal::SourceList sources_;

  internal::AdaptiveWait wait_;
  unsigned probes_ = 0;       // while sources are polled
  TimePoint asked_kernel_{};  // when a probe did so last

  internal::RunSlice slice_;  // of run()
  unsigned coop_budget_ = kCoopBudget;
  unsigned running_ = 0;                    // calls that run turns, one inside the other
  internal::RunNode* resumed_ = nullptr;    // the task that runs; a nested turn begins with none
  std::size_t away_tasks_ = 0;              // on other contexts, and to return here
  internal::Activity* activity_ = nullptr;  // while a Watchdog is there
  std::unique_ptr<internal::Activity> watched_activity_;
  Messages messages_;

  internal::Affinity affinity_;
  internal::TimerSlack timer_slack_;  // of the home thread

  // Other threads write these two. Each has a cache line of its own, apart from the members that
  // other threads only read while the loop is awake.
  alignas(64) internal::RemoteQueue remote_;
  alignas(64) internal::Wakeup wakeup_;
  std::atomic<bool> stopped_{false};
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_CONTEXT_H_
