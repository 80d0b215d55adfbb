// Context: one event loop. Usually one per thread.
//
//   absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
//   (*context)->set_fd_handler(fd, {.read = [&] { ... }});
//   (*context)->run();                         // until somebody calls stop()
//
// Coroutines are run on it by coro/run.h; everything here works without them.
//
// Threads: the home thread is the one that first calls bind(), poll(), run() or run_until(); before
//   that, one thread at a time may use the context. From other threads only schedule, post, notify,
//   stop, and set_fd_handler are legal; schedule_from_signal and notify also in signal handlers.
// Lifetime: a context outlives the bottom halves, timers, handlers and tasks on it. It is destroyed on
//   its home thread, or after that thread has ended.
// Errors: create() fails when the back end that was asked for is not available, or descriptors are
//   exhausted; the status names the errno and the fix. Misuse is checked, and aborts with a sentence.

#ifndef COAIO_RUNTIME_CONTEXT_H_
#define COAIO_RUNTIME_CONTEXT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "backends/fd_monitor.h"
#include "runtime/clock.h"
#include "runtime/fd_table.h"
#include "runtime/poll_policy.h"
#include "runtime/remote_queue.h"
#include "runtime/run_queue.h"
#include "runtime/timer_queue.h"
#include "runtime/wakeup.h"

namespace coaio {

struct ContextOptions {
  Backend backend = Backend::kAuto;
  PollPolicy polling = PollOff{};

  // Null: CLOCK_MONOTONIC. Outlives the context.
  const Clock* clock = nullptr;

  // The home thread's timer slack (prctl PR_SET_TIMERSLACK): by how much the kernel may delay the end
  // of a wait to save wake-ups. The kernel's default is 50 µs. Empty: leave it alone.
  std::optional<std::chrono::nanoseconds> timer_slack = std::chrono::nanoseconds(1);

  // How often, and for how long, run() runs what is queued before it looks at the kernel again. A look
  // costs a system call; what it would find waits for at most this long.
  unsigned batches_between_looks = 128;
  std::chrono::nanoseconds time_between_looks = std::chrono::microseconds(50);
};

// Counted on the home thread, readable there at no cost.
struct ContextFigures {
  std::uint64_t turns = 0;
  std::uint64_t looks = 0;      // at the kernel, without sleeping
  std::uint64_t waits = 0;      // that were allowed to sleep
  std::uint64_t polls = 0;      // times that the loop looked for work in user space before a wait,
  std::uint64_t poll_hits = 0;  // and found some
  std::uint64_t wakeups = 0;    // turns that began with a notify() from elsewhere
  std::uint64_t moves = 0;      // to another back end
  std::chrono::nanoseconds polled{0};
};

class Context {
 public:
  static absl::StatusOr<std::unique_ptr<Context>> create(const ContextOptions& options = {});

  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // --- running it: the home thread ------------------------------------------------------------------

  // Makes the calling thread the home thread.
  void bind();

  // One turn. Returns true if anything but a wake-up happened. With may_block it sleeps until there is
  // something to do. May be called from whatever the loop calls, to any depth; waiting inside for
  // something that an outer call has yet to finish deadlocks.
  bool poll(bool may_block);

  // Turns until stop().
  void run();

  // Turns until `done` is true.
  void run_until(const bool& done);

  // --- from any thread ------------------------------------------------------------------------------

  // Makes run() return after the turn in progress; one that has not begun returns at once.
  void stop();

  // Ends the sleep of the loop, if it sleeps, or the next one. Legal in signal handlers.
  void notify();

  // Queues the node; it runs in the next step for bottom halves. No-op while it is queued.
  void schedule(RunNode& node);

  // The same for signal handlers, on whatever thread they run.
  void schedule_from_signal(RunNode& node);

  // Calls the function on the home thread. Allocates.
  void post(absl::AnyInvocable<void()> function);

  // Replaces the callbacks for a descriptor; empty ones remove it. Remove, then close. At home, the old
  // callbacks are not called any more when this returns; from elsewhere, the change is queued.
  void set_fd_handler(int fd, FdHandlers handlers);

  // --- at home --------------------------------------------------------------------------------------

  bool is_home() const;

  void cancel(RunNode& node);

  void arm(TimerNode& node, TimePoint deadline) { timers_.arm(node, deadline); }
  bool cancel(TimerNode& node) { return timers_.cancel(node); }

  TimePoint now() const { return clock_->now(); }
  const Clock& clock() const { return *clock_; }

  FdTable& fds() { return fds_; }

  // "ppoll", "epoll" or "io_uring", and why it is this one: what was asked for, and what each back end
  // that was passed over said.
  absl::string_view backend() const { return monitor_->name(); }
  const std::string& backend_reason() const { return reason_; }

  const ContextFigures& figures() const { return figures_; }

  // Takes effect with the next wait.
  void set_polling(const PollPolicy& policy) { budget_ = PollBudget(policy); }

  // For coroutines: work that completes without suspending asks before it goes on. False once in a
  // while: then it goes through the queue, so that neither the stack nor others' waiting grows without
  // bound. The loop grants a new allowance with each resumption.
  bool may_go_on() { return allowance_ != 0 && allowance_-- != 0; }
  void grant_allowance() { allowance_ = kAllowance; }

 private:
  static constexpr unsigned kAllowance = 64;

  Context(const ContextOptions& options, SelectedMonitor selected);

  // The steps of a turn.
  bool turn(bool may_block);
  std::chrono::nanoseconds time_to_next_work() const;
  void look();
  void wait_for_work(std::chrono::nanoseconds limit);
  bool find_work_in_user_space(TimePoint start, std::chrono::nanoseconds budget);
  void sleep(std::chrono::nanoseconds limit);
  void accept_wakeup();
  bool run_queued();
  bool fire_timers();

  void run_batches();
  void schedule_remotely(RunNode& node);
  void collect(std::chrono::nanoseconds timeout);
  void move_on(const absl::Status& refusal);
  void watch_wakeup();

  std::unique_ptr<FdMonitor> monitor_;
  FdTable fds_;
  RunQueue queue_;
  TimerQueue timers_;
  PollBudget budget_;
  unsigned allowance_ = kAllowance;
  const Clock* clock_;
  ContextFigures figures_;
  std::vector<Ready> ready_;  // what one wait reports
  Key wakeup_key_;
  const ContextOptions options_;
  std::string reason_;

  // Names the home thread: the address of one of its thread-locals. Relaxed: only that thread can find
  // its own address here.
  std::atomic<const void*> home_{nullptr};

  // What other threads write to is kept off the lines above.
  alignas(64) RemoteQueue remote_;
  Wakeup wakeup_;
  std::atomic<bool> stopped_{false};
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_CONTEXT_H_
