#include "runtime/context.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <semaphore>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "runtime/activity.h"
#include "runtime/call_kind.h"
#include "runtime/fd_table.h"
#include "runtime/fork_generation.h"
#include "runtime/leftovers.h"
#include "runtime/poll_source.h"
#include "runtime/polling/adaptive_wait.h"
#include "runtime/polling/poll_environment.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/run_queue.h"
#include "runtime/source_list.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio {

using namespace internal;
namespace {

struct Posted : RunNode {
  explicit Posted(absl::AnyInvocable<void()> f)
      : RunNode(&Posted::call, CallKind::kPosted), function(std::move(f)) {}

  static void call(RunNode& node) {
    const std::unique_ptr<Posted> self(static_cast<Posted*>(&node));
    self->function();
  }

  absl::AnyInvocable<void()> function;
};

// A longer slack than this makes a sleep that ends with a timer say nothing about a wake.
constexpr std::chrono::nanoseconds kPreciseSlack = std::chrono::microseconds(1);

AdaptiveWait::Options wait_options(const ContextOptions& options) {
  return {.policy = options.polling,
          .share = options.polling_share,
          .environment =
              options.polling_gives_way ? PollEnvironment::real() : PollEnvironment::ignored(),
          .precise_sleeps =
              options.timer_slack.value_or(std::chrono::nanoseconds::max()) <= kPreciseSlack};
}

// Whether the calling thread has come to the end of its thread-locals. exit() ends them before the
// statics: a static context may then be destroyed although a callback, which has called exit(), is
// still on the stack, for that callback does not return.
constinit thread_local bool t_ending = false;

struct EndNotice {
  EndNotice() = default;
  EndNotice(const EndNotice&) = delete;
  EndNotice& operator=(const EndNotice&) = delete;
  ~EndNotice() { t_ending = true; }
};

void notice_end() {
  static thread_local const EndNotice notice;
  static_cast<void>(notice);
}

absl::Status validate_share(double share) {
  return share >= 0.0 && share <= 1.0  // also false for NaN
             ? absl::OkStatus()
             : absl::InvalidArgumentError(absl::StrCat(
                   "the polling share is ", share, ": it goes from 0, no polling, to 1, no limit"));
}

absl::Status validate_duration(absl::string_view name, std::chrono::nanoseconds duration) {
  return duration >= std::chrono::nanoseconds(0)
             ? absl::OkStatus()
             : absl::InvalidArgumentError(absl::StrCat("ContextOptions::", name, " is ",
                                                       duration.count(),
                                                       " ns: it must not be negative"));
}

absl::Status validate_options(const ContextOptions& options) {
  absl::Status status = validate(options.polling);
  status.Update(validate_share(options.polling_share));
  status.Update(validate_duration("idle_source_limit", options.idle_source_limit));
  status.Update(validate_duration("time_between_looks", options.time_between_looks));
  if (options.timer_slack.has_value()) {
    status.Update(validate_duration("timer_slack", *options.timer_slack));
  }
  if (options.nodes_between_looks == 0) {
    status.Update(absl::InvalidArgumentError(
        "ContextOptions::nodes_between_looks is 0: use 1 to look at the kernel after each node"));
  }
  return status;
}

void check_ok(const absl::Status& status) {
  if (!status.ok()) {
    fail(std::string(status.message()).c_str());
  }
}

}  // namespace

// --- life ---------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Context>> Context::create(const ContextOptions& options) {
  if (absl::Status status = validate_options(options); !status.ok()) {
    return status;
  }
  watch_forks();
  // Before the back end: where one descriptor is left, ppoll does without one of its own.
  absl::StatusOr<UniqueFd> event = Wakeup::make_event();
  if (!event.ok()) {
    return event.status();
  }
  absl::StatusOr<SelectedMonitor> selected =
      select_monitor(options.backend, options.epoll_threshold);
  if (!selected.ok()) {
    return selected.status();
  }
  std::unique_ptr<Context> context(new Context(options, *std::move(selected)));
  context->wakeup_.open(*std::move(event));
  context->kernel_.watch_wakeup();
  return context;
}

Context::Context(const ContextOptions& options, SelectedMonitor selected)
    : options_(options),
      clock_(options.clock == nullptr ? &Clock::steady() : options.clock),
      kernel_(std::move(selected), fds_, wakeup_, stats_.moves),
      fds_(kernel_.monitor()),
      wall_timers_(options.wall_clock == nullptr ? WallClock::system() : *options.wall_clock, fds_),
      sources_(fds_, *clock_, options.idle_source_limit, options.polling),
      wait_(*this, sources_, stats_, trace_, wait_options(options)),
      slice_(*clock_, options.nodes_between_looks, options.time_between_looks),
      messages_(options.sink) {}

// In a forked child, only its own memory and descriptors are given back: what the kernel keeps
// behind them belongs to the parent as well. Elsewhere the monitor's end takes all of it back.
Context::~Context() {
  if (affinity_.was_forked()) {
    return;
  }
  check(affinity_.may_act(),
        "a context is destroyed while its home thread lives: destroy it there");
  check(running_ == 0 || t_ending,
        "a context is destroyed by a callback that it runs: destroy it after poll() or run() has "
        "returned");
  if (const std::string left = discard_queued(); !left.empty()) {
    fail(left.c_str());
  }
  if (affinity_.is_home()) {
    timer_slack_.give_back();
  }
}

// Posted functions are destroyed without being called, and so are handlers; their ends may use the
// context, which is still whole, and may end other things that use it. What is left after that
// would go on to use it: returns the sentence that names it, or nothing.
std::string Context::discard_queued() {
  RunQueue kept;
  do {
    discard_posted(kept);
  } while (fds_.discard_handlers());
  Leftovers left;
  while (const RunNode* node = kept.take()) {
    left.add(node->info());
  }
  while (const RunNode* node = idle_.take()) {
    left.add(node->info());
  }
  timers_.for_each([&](const TimerNode& node) { left.add(node.info()); });
  wall_timers_.for_each([&](const TimerNode& node) { left.add(node.info()); });
  left.add(CallKind::kPollSource, sources_.size());
  left.add_away_tasks(away_tasks_);
  const std::string words = absl::StrCat(fds_.describe_users(), left.words());
  return words.empty() ? ""
                       : absl::StrCat("a context is destroyed before what uses it:", words,
                                      " destroy these first");
}

// Nodes that are not posted functions are moved to `kept`: a posted function may own one of them.
void Context::discard_posted(RunQueue& kept) {
  for (remote_.drain(queue_); RunNode* node = queue_.take(); remote_.drain(queue_)) {
    if (node->info().kind == CallKind::kPosted) {
      const std::unique_ptr<Posted> never_called(static_cast<Posted*>(node));
    } else {
      kept.push(*node);
    }
  }
}

[[gnu::noinline]] void Context::bind() {
  if (affinity_.is_home_now()) [[likely]] {
    return;
  }
  affinity_.check_not_forked();
  check(!affinity_.home_has_ended(),
        "the home thread of a context has ended, and another thread can only destroy it and what "
        "uses it: make a new context");
  check(affinity_.claim(), "a context is run by a second thread: make a context per thread");
  notice_end();
  if (options_.timer_slack.has_value()) {
    timer_slack_.set(*options_.timer_slack);
  }
}

// --- from elsewhere -----------------------------------------------------------------------------

void Context::stop() {
  affinity_.check_not_forked();
  stopped_.store(true, std::memory_order_release);  // pairs with the acquire in run()
  wakeup_.notify();
}

// In a forked child a signal handler may come here before exec: the parent must not notice.
void Context::notify() {
  if (!affinity_.was_forked()) {
    wakeup_.notify();
  }
}

[[gnu::noinline]] void Context::schedule(RunNode& node) {
  if (affinity_.is_home_now()) [[likely]] {
    queue_.push(node);
  } else {
    affinity_.check_not_forked();
    schedule_remotely(node);
  }
}

// The interrupted code may be in the middle of a change of the home queue.
void Context::schedule_from_signal(RunNode& node) {
  if (!affinity_.was_forked()) {
    schedule_remotely(node);
  }
}

void Context::schedule_remotely(RunNode& node) {
  if (remote_.push(node)) {
    wakeup_.wake_sleeper();
  }
}

void Context::post(absl::AnyInvocable<void()> function) {
  schedule(*std::make_unique<Posted>(std::move(function)).release());
}

void Context::set_fd_handler(int fd, FdHandlers handlers) {
  if (affinity_.was_forked()) {
    check(handlers.read == nullptr && handlers.write == nullptr, Affinity::kUsedInForkedChild);
    return;
  }
  if (affinity_.may_change()) {
    const bool removed = handlers.read == nullptr && handlers.write == nullptr;
    fds_.set_handlers(fd, std::move(handlers));
    if (removed) {
      fds_.settle();
    }
  } else {
    post([this, fd, change = std::move(handlers)]() mutable {
      fds_.set_handlers(fd, std::move(change));
    });
  }
}

void Context::remove_fd_handler_and_wait(int fd) {
  if (affinity_.was_forked()) {
    return;
  }
  if (affinity_.may_change()) {
    fds_.set_handlers(fd, {});
    fds_.settle();
    return;
  }
  std::binary_semaphore removed(0);
  post([this, fd, &removed] {
    fds_.remove_handlers(fd, [this, &removed] {
      fds_.settle();
      removed.release();
    });
  });
  removed.acquire();
}

// --- at home ------------------------------------------------------------------------------------

void Context::schedule_idle(RunNode& node) {
  affinity_.check_home();
  idle_.push(node);
}

void Context::cancel(RunNode& node) {
  if (affinity_.may_take_back()) {
    remote_.drain(queue_);  // it may be on its way
    RunQueue::remove(node);
  }
}

void Context::arm_wall(TimerNode& node, WallTime deadline) {
  affinity_.check_home();
  wall_timers_.arm(node, deadline);
}

void Context::settle() {
  if (affinity_.may_take_back()) {
    fds_.settle();
  }
}

void Context::add(PollSource& source) {
  affinity_.check_home();
  sources_.add(source);
}

void Context::remove(PollSource& source) {
  if (affinity_.may_take_back()) {
    sources_.remove(source);
    fds_.settle();  // the owner may close the doorbell
  } else {
    SourceList::abandon(source);
  }
}

void Context::set_polling(const PollPolicy& policy) {
  affinity_.check_home();
  check_ok(validate(policy));
  wait_.set_policy(policy);
  sources_.set_policy(policy);
}

void Context::set_polling_share(double share) {
  affinity_.check_home();
  check_ok(validate_share(share));
  wait_.set_share(share);
}

const Activity& Context::attach_watchdog() {
  affinity_.check_home();
  check(activity_ == nullptr, "a context has two watchdogs: one is enough");
  if (watched_activity_ == nullptr) {
    watched_activity_ = std::make_unique<Activity>();
  }
  activity_ = watched_activity_.get();
  fds_.set_activity(activity_);
  return *activity_;
}

// The Activity stays: the callback that unwatches may be recorded in it.
void Context::detach_watchdog() {
  if (!affinity_.may_take_back()) {
    return;
  }
  activity_ = nullptr;
  fds_.set_activity(nullptr);
}

void Context::release_fd(int fd) {
  if (affinity_.may_take_back()) {
    fds_.give_up(fd);
    fds_.settle();
  }
}

void Context::disable_external() {
  affinity_.check_home();
  fds_.disable_external();
}

void Context::enable_external() {
  if (affinity_.may_take_back()) {
    fds_.enable_external();
  }
}

}  // namespace coaio
