// Context: an event loop. It calls handlers of descriptors, timers, bottom halves and poll sources,
// and resumes tasks, all on one thread. Most programs have one context for each thread.
//
//   absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
//   (*context)->set_fd_handler(fd, {.read = [&] { read_request(fd); }});
//   (*context)->run();  // returns after a call of stop()
//
// Tasks are started with coro/run.h. Everything in this header also works without tasks.
//
// Threads: the first call of bind(), poll(), run() or run_until() makes its thread the home thread.
//   Before that call, one thread at a time may use the context. After that call, other threads may
//   call post(), notify(), stop(), tell_sink(), messages(), last_message(), set_fd_handler(),
//   remove_fd_handler_and_wait(), is_home(), may_act(), was_forked() and BottomHalf::schedule().
//   Signal handlers may call notify() and BottomHalf::schedule_from_signal().
//   After the home thread has ended, no thread can run the context. One thread at a time may then
//   cancel, remove and destroy the objects that use the context, and destroy the context. The home
//   thread counts as running during the destructors of its thread_local objects, and the main
//   thread also during the destructors of static objects: these may still run the context.
// Lifetime: a context outlives all objects that are scheduled, armed or waiting on it, the tasks
//   that left it for another context and return to it, and the calls by other threads. The
//   destructor checks this, except for the calls. The context is destroyed on its home thread, or
//   after that thread has ended, and not by a callback that it runs.
// Fork: a forked child cannot use a context of its parent. was_forked() works in the child. The
//   following calls do nothing in the child: the cancel() of timers and bottom halves, the removal
//   of handlers and poll sources, enable_external(), and the destructors of the context and of the
//   objects that use it. Each other call aborts with a sentence. A destructor that calls post()
//   must call was_forked() first.
// Errors: create() fails if the requested back end is not available, the process has no descriptor
//   left, or an option is out of range. The status names the errno or the value, and the fix.
//   Misuse aborts with a sentence that tells the fix. An exception that leaves a callback
//   terminates the process; an exception that leaves a task goes to the task that awaits it.

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

  // For kAuto where io_uring is not available: the number of watched descriptors at which the
  // context moves from ppoll to epoll. 0 begins with epoll, which is slower than ppoll only for a
  // handful of descriptors that are all busy (docs/decisions.md has the figures).
  std::size_t epoll_threshold = 0;

  // Whether, and for how long, the loop polls in user space before it sleeps.
  PollPolicy polling = PollOff{};

  // The share of one CPU that polling may take in any 100 ms: 0 means no polling, and 1 means no
  // limit on the share. One poll takes at most a quarter of the time that the share allows in
  // 100 ms, and at most 5 ms. The loop shortens each longer budget to this limit.
  double polling_share = 1.0;

  // Whether the loop also stops polling when it would use up the CPU quota of the cgroup, when
  // other threads want the CPU, or when the sender of the event needs the CPU (poll_guard.h).
  // False is for measurements.
  bool polling_gives_way = true;

  // The loop stops probing a poll source that was not ready for this long, if the source has a
  // doorbell. It probes the source again after the doorbell has become readable.
  Duration idle_source_limit = std::chrono::seconds(7);

  // The clock for timers. Null means CLOCK_MONOTONIC. The clock outlives the context.
  const Clock* clock = nullptr;

  // The clock for timers by the time of day. Null means CLOCK_REALTIME. It outlives the context.
  const WallClock* wall_clock = nullptr;

  // The timer slack of the home thread (PR_SET_TIMERSLACK): the time by which the kernel may delay
  // the end of a wait. The kernel's default is 50 µs; an empty value keeps the thread's slack.
  // The last context of a thread restores the former slack, and a child of fork() has the former
  // slack. Threads that the home thread starts inherit the slack that is set here, and so do
  // programs that it starts with posix_spawn() or vfork(): start them on another thread if the
  // slack matters to them.
  std::optional<Duration> timer_slack = std::chrono::nanoseconds(1);

  // run() looks for events and timers after at most nodes_between_looks nodes (a node is a bottom
  // half or a resumed task) and after at most time_between_looks. A look costs one system call on
  // epoll and ppoll. An event or timer that becomes ready waits for at most time_between_looks plus
  // the rest of the callback that is running at the end of that time.
  unsigned nodes_between_looks = 1024;
  Duration time_between_looks = std::chrono::microseconds(50);

  // Receives messages for the operator (sink.h). Without a sink the context counts the messages and
  // keeps the last one.
  Sink sink = nullptr;
};

// Counters of one context. The home thread writes and reads them.
struct ContextStats : PollStats {
  std::uint64_t turns = 0;
  std::uint64_t looks = 0;    // calls that asked the kernel without sleeping
  std::uint64_t waits = 0;    // calls that were allowed to sleep in the kernel
  std::uint64_t wakeups = 0;  // turns that began with notify() or with a node of another thread
  std::uint64_t moves = 0;    // changes of the back end
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

  // The context whose turn the calling thread runs, the innermost one if turns nest. In a task this
  // is the context of the task; in a callback, the context that calls it. current() checks that
  // the thread runs a turn. The child of a fork inside a turn has no current context.
  static Context& current();
  static bool has_current();

  // --- running it: the home thread --------------------------------------------------------------

  // Makes the calling thread the home thread.
  void bind();

  // Runs one turn. Returns whether the turn did anything; a wake-up and idle bottom halves do not
  // count. With may_block the turn first sleeps until there is something to do. Callbacks and tasks
  // may call poll(), to any depth. A nested poll() that waits for work of the callback or task that
  // has called it deadlocks.
  bool poll(bool may_block);

  // Runs turns until stop(). One stop() ends one run(): the run in progress, or else the next.
  void run();

  // Runs turns until `done` is true. stop() does not end them.
  void run_until(const bool& done);

  // Like run_until(done). The loop calls `stopped` after each stop(), between two turns.
  void run_until(const bool& done, absl::AnyInvocable<void()> stopped);

  // --- from any thread --------------------------------------------------------------------------

  // Ends the run in progress, or else the next: run() returns after the current turn, and
  // coaio::run(context, task) requests cancellation of its task and returns after the task has
  // ended.
  void stop();

  // Ends the sleep of the loop, or else makes its next sleep end at once. Signal handlers may call
  // it.
  void notify();

  // The loop calls the function on the home thread. post() allocates. If the context is destroyed
  // before it has called the function, the context destroys the function without a call.
  void post(absl::AnyInvocable<void()> function);

  // Sets the handlers of a descriptor; empty handlers remove the descriptor. Remove a descriptor
  // before you close it. On the home thread the change is complete when the call returns: the old
  // handlers are not called any more, and close(2) closes the file. On another thread, and before
  // the context has a home thread, the next turn makes the change.
  void set_fd_handler(int fd, FdHandlers handlers);

  // Passes a message for the operator to the sink, on the calling thread. A message is one
  // sentence; do not repeat it in every turn.
  void tell_sink(absl::string_view sentence) { messages_.tell(sentence); }

  // The number of messages so far, and the last one.
  std::uint64_t messages() const { return messages_.count(); }
  std::string last_message() const { return messages_.last(); }

  // Removes the handlers of a descriptor. When the call returns, no thread runs one of them, and
  // the descriptor may be closed. On a thread other than the home thread the call blocks until the
  // home thread has run a turn: for ever if no thread runs the context, or if the home thread waits
  // for the caller. A thread that will be the home thread calls bind() before.
  void remove_fd_handler_and_wait(int fd);

  // --- the home thread --------------------------------------------------------------------------

  bool is_home() const { return affinity_.is_home(); }

  // Whether the calling thread may make calls that are reserved to the home thread: it is the home
  // thread, or the context has none yet, or the home thread has ended.
  bool may_act() const { return affinity_.may_act(); }

  // Allocates memory for this many timers, so that arming them does not allocate.
  void reserve_timers(std::size_t count) { timers_.reserve(count); }

  // Ends all use of a descriptor that the caller owns. Tasks that wait for it, in readable() or
  // ready(), go on later with kCancelled; its handlers are removed. When the call returns, the
  // descriptor may be closed. Not for the descriptor of a stream, which the stream closes.
  void release_fd(int fd);

  // Between disable_external() and enable_external() the loop calls no handler that is marked
  // external. The pairs nest.
  void disable_external();
  void enable_external();

  TimePoint now() const { return clock_->now(); }
  const Clock& clock() const { return *clock_; }

  // "ppoll", "epoll" or "io_uring", and the reason for the choice: the backend option, and why each
  // preferred back end is not available.
  absl::string_view backend() const { return kernel_.name(); }
  const std::string& backend_reason() const { return kernel_.reason(); }

  const ContextStats& stats() const { return stats_; }

  // Both take effect with the next wait. A value that create() would refuse aborts: call validate()
  // for a policy that comes from outside the program.
  void set_polling(const PollPolicy& policy);
  void set_polling_share(double share);

  // The loop calls the trace for each event of trace.h. Null, the default, ends the trace.
  void set_trace(Trace trace) { trace_ = std::move(trace); }

  // Whether the calling process is a forked child of the process that made this context. Objects
  // that use the context end there without touching it: fork() may have copied its queues in the
  // middle of a change, and its epoll instance or ring is shared with the parent.
  bool was_forked() const { return affinity_.was_forked(); }

 private:
  friend class internal::ContextAccess;  // its comments describe the functions below

  static constexpr unsigned kCoopBudget = 64;

  class Current;  // a call of poll(), run() or run_until() in progress

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
  const internal::Activity& attach_watchdog();
  void detach_watchdog();
  void task_left() { ++away_tasks_; }
  void task_returned() { --away_tasks_; }

  // --- a turn -----------------------------------------------------------------------------------

  bool turn(bool may_block, internal::RunSlice* slice = nullptr) noexcept;
  void find_work(bool may_block);
  void accept_wakeup();
  bool run_queued(internal::RunSlice* slice);
  bool run_watched(internal::RunQueue& queue, internal::RunSlice* slice);
  void run_next(internal::RunQueue& queue) {
    queue.run_next();
    resumed_ = nullptr;
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
  unsigned probes_ = 0;       // that were counted while the loop probed poll sources
  TimePoint asked_kernel_{};  // the time of the last such probe that asked the kernel

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
