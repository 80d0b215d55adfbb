#include "runtime/context.h"

#include <sys/prctl.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <semaphore>
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
#include "backends/unique_fd.h"
#include "runtime/activity.h"
#include "runtime/bottom_half.h"
#include "runtime/fd_table.h"
#include "runtime/fork_generation.h"
#include "runtime/run_queue.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer_queue.h"
#include "runtime/time/wall_clock.h"

namespace coaio {
namespace {

struct Posted : RunNode {
  explicit Posted(absl::AnyInvocable<void()> f) : RunNode(&Posted::call), function(std::move(f)) {}

  static void call(RunNode& node) {
    const std::unique_ptr<Posted> self(static_cast<Posted*>(&node));
    self->function();
  }

  absl::AnyInvocable<void()> function;
};

}  // namespace

// --- life ---------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Context>> Context::create(const ContextOptions& options) {
  watch_forks();
  absl::StatusOr<SelectedMonitor> selected =
      select_monitor(options.backend, options.epoll_threshold);
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
      migrate_at_(selected.migrate_at),
      fds_(*monitor_),
      wall_timers_(options.wall_clock == nullptr ? WallClock::system() : *options.wall_clock),
      sources_(fds_, options.clock == nullptr ? Clock::steady() : *options.clock,
               options.idle_source_limit, options.polling),
      budget_(options.polling),
      guard_(options.polling_share,
             options.polling_gives_way ? PollEnvironment::real() : PollEnvironment::ignored(),
             stats_.guard),
      clock_(options.clock == nullptr ? &Clock::steady() : options.clock),
      options_(options),
      reason_(std::move(selected.reason)) {}

// In a forked child, only its own memory and descriptors are given back: what the kernel keeps
// behind them belongs to the parent as well. Elsewhere the monitor's end takes all of it back.
Context::~Context() {
  if (was_forked()) {
    return;
  }
  check(home_.may_act(), "a context is destroyed while its home thread lives: destroy it there");
  if (const std::string left = discard_queued(); !left.empty()) {
    fail(left.c_str());
  }
}

// Posted functions are destroyed without being called, and so are handlers; their ends may use the
// context, which is still whole. Everything else would go on to use it: returns the sentence that
// names it, or nothing.
std::string Context::discard_queued() {
  std::string left;
  std::size_t queued = 0;
  do {
    for (remote_.drain(queue_); RunNode* node = queue_.take(); remote_.drain(queue_)) {
      if (node->function() == &Posted::call) {
        const std::unique_ptr<Posted> never_called(static_cast<Posted*>(node));
        continue;
      }
      ++queued;
      if (const BottomHalf* half = BottomHalf::from(*node); half != nullptr && half->name()) {
        absl::StrAppend(&left, " the bottom half \"", half->name(), "\";");
      }
    }
  } while (fds_.discard_handlers());
  absl::StrAppend(&left, fds_.describe_users());
  if (queued != 0 || !idle_.empty()) {
    absl::StrAppend(&left, " ", queued, " scheduled bottom halves or tasks",
                    idle_.empty() ? ";" : ", and idle ones;");
  }
  if (!sources_.empty()) {
    absl::StrAppend(&left, " ", sources_.size(), " poll sources;");
  }
  if (const std::size_t armed = timers_.size() + wall_timers_.size(); armed != 0) {
    absl::StrAppend(&left, " ", armed, " armed timers;");
  }
  return left.empty() ? ""
                      : absl::StrCat("a context is destroyed before what uses it:", left,
                                     " destroy these first");
}

void Context::watch_wakeup() {
  wakeup_key_ = {.slot = static_cast<std::uint32_t>(wakeup_.fd()),
                 .generation = std::numeric_limits<std::uint32_t>::max()};
  monitor_->arm(wakeup_.fd(), wakeup_key_, Events::kIn, Trigger::kEdge);
  monitor_->want(wakeup_key_, Events::kIn);
}

void Context::bind() {
  check_not_forked();
  if (home_.is_here()) {
    return;
  }
  check(home_.claim(), "a context is run by a second thread: make a context per thread");
  if (options_.timer_slack.has_value()) {
    // Refused in some sandboxes; the loop is then as precise as the default allows.
    prctl(PR_SET_TIMERSLACK, options_.timer_slack->count(), 0, 0, 0);
  }
}

// --- from elsewhere -----------------------------------------------------------------------------

void Context::stop() {
  check_not_forked();
  stopped_.store(true, std::memory_order_release);  // pairs with the acquire in run()
  wakeup_.notify();
}

// In a forked child a signal handler may come here before exec: the parent must not notice.
void Context::notify() {
  if (!was_forked()) {
    wakeup_.notify();
  }
}

[[gnu::noinline]] void Context::schedule(RunNode& node) {
  if (home_.is_here_now()) [[likely]] {
    queue_.push(node);
  } else {
    check_not_forked();
    schedule_remotely(node);
  }
}

// The interrupted code may be in the middle of a change of the home queue.
void Context::schedule_from_signal(RunNode& node) {
  if (!was_forked()) {
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
  check_not_forked();
  if (home_.may_act()) {
    const bool removed = handlers.read == nullptr && handlers.write == nullptr;
    fds_.set_handlers(fd, std::move(handlers));
    if (removed) {
      monitor_->settle();
    }
  } else {
    post([this, fd, change = std::move(handlers)]() mutable {
      fds_.set_handlers(fd, std::move(change));
    });
  }
}

void Context::remove_fd_handler_and_wait(int fd) {
  if (home_.may_act()) {
    fds_.set_handlers(fd, {});
    monitor_->settle();
    return;
  }
  std::binary_semaphore removed(0);
  post([this, fd, &removed] {
    fds_.remove_handlers(fd, [this, &removed] {
      monitor_->settle();
      removed.release();
    });
  });
  removed.acquire();
}

// --- at home ------------------------------------------------------------------------------------

void Context::schedule_idle(RunNode& node) {
  check_home();
  idle_.push(node);
}

void Context::cancel(RunNode& node) {
  if (may_take_back()) {
    remote_.drain(queue_);  // it may be on its way
    RunQueue::remove(node);
  }
}

void Context::arm_wall(TimerNode& node, WallTime deadline) {
  check_home();
  // The first one begins to watch for steps of the clock: the wake-up is all that they need.
  if (const UniqueFd& notice = wall_timers_.notice(); notice.valid() && !watches_clock_) {
    watches_clock_ = true;
    fds_.set_handlers(notice.get(), {.read = [this] { clock_was_set(); }, .write = nullptr});
  }
  wall_timers_.arm(node, deadline);
}

void Context::clock_was_set() {
  if (!wall_timers_.renew_notice()) {
    fds_.set_handlers(wall_timers_.notice().get(), {});
    monitor_->settle();
    wall_timers_.give_up_notice();
  }
}

const Activity& Context::watch() {
  check_home();
  check(activity_ == nullptr, "a context has two watchdogs: one is enough");
  if (watched_activity_ == nullptr) {
    watched_activity_ = std::make_unique<Activity>();
  }
  activity_ = watched_activity_.get();
  fds_.set_activity(activity_);
  return *activity_;
}

// The words stay: whoever unwatches may be in a callback that they are about.
void Context::unwatch() {
  check_home();
  activity_ = nullptr;
  fds_.set_activity(nullptr);
}

void Context::disable_external() {
  check_home();
  fds_.disable_external();
}

void Context::enable_external() {
  check_home();
  fds_.enable_external();
}

}  // namespace coaio
