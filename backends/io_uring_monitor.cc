#include "backends/io_uring_monitor.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/io_uring_cancellations.h"
#include "backends/io_uring_refusal.h"
#include "backends/io_uring_ring.h"
#include "backends/io_uring_support.h"
#include "backends/io_uring_watch.h"
#include "backends/pollable_file.h"
#include "backends/thread_end.h"
#include "backends/watch_table.h"

namespace coaio::internal {
namespace {

constexpr std::chrono::nanoseconds kNoSleep{0};

// The kernel sizes its table of poll requests when it makes a ring, by the completion ring, and
// never again; a removal walks a bucket of that table. So a monitor begins with a small ring, since
// RLIMIT_MEMLOCK bounds the memory of all rings of a user, and makes a large one when it has many
// watches. docs/decisions.md has the figures.
constexpr unsigned kSmallRing = 512;
constexpr unsigned kLargeRing = 8192;
constexpr std::size_t kManyWatches = 1024;

class IoUringMonitor final : public FdMonitor {
 public:
  explicit IoUringMonitor(IoUringOptions options)
      : options_(options), may_grow_(options.completions == 0) {
    backlog_.reserve(kFirstCapacity);
  }

  // Closing a ring leaves its requests, and the files that they hold, to a kernel worker. In a
  // forked child the requests belong to the parent.
  ~IoUringMonitor() override {
    thread_end_.detach();
    release_files();
  }

  // Returns an errno.
  int open() { return ring_.open(size_of(kSmallRing), options_.rung); }

  absl::string_view name() const override { return "io_uring"; }

  // --- change -----------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    if (key.slot < watches_.size()) {
      IoUringWatch& old = watches_[key.slot];
      if (old.in_flight() && old.generation != key.generation) {
        cancel(key.slot, old);
      }
    }
    watches_.arm(fd, key, interest, trigger);
    watches_.touch(key.slot);
  }

  void want(Key key, Events interest) override {
    if (IoUringWatch* watch = watches_.find(key)) {
      watch->wanted |= interest & watch->interest;
      // A live request needs no reminder, unless it asks for less than this.
      if (!watch->in_flight() || (watch->wanted_only && !watch->is_submitted())) {
        watches_.touch(key.slot);
      }
    }
  }

  void disarm(Key key) override {
    IoUringWatch* watch = watches_.disarm(key);
    if (watch != nullptr && watch->in_flight()) {
      cancel(key.slot, *watch);
    }
  }

  // What fails here is tried again by the next wait().
  void settle() override {
    if (cancellations_.any_pending()) {
      static_cast<void>(let_go());
    }
  }

  // --- wait -------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) override {
    if (!enabled_) {
      if (int error = ring_.enable(); error != 0) {
        return io_uring_refusal(error, "io_uring_register");
      }
      enabled_ = true;
      thread_end_.attach();
    }
    const std::size_t before = ready.size();
    int error = 0;
    // A completion may be no event for the owner, but make another request necessary: after this
    // wait a foreign loop may sleep on the ring.
    for (int left = kRounds; left > 0; --left) {
      error = go_round(timeout, ready);
      if (ready.size() != before || !watches_.has_changes() || error != 0 || refused_ != 0) {
        break;
      }
      timeout = kNoSleep;
    }
    if (cancellations_.any_pending() && error == 0) {
      error = let_go();  // of one-shot watches that needed a multishot request
    }
    if (error == 0 && refused_ == 0) {
      return absl::OkStatus();
    }
    return io_uring_enter_status(error != 0 ? error : std::exchange(refused_, 0));
  }

  Peek peek() const override {
    if (ring_.kernel_asks() || ring_.ready() != 0 || !backlog_.empty()) {
      return Peek::kReady;
    }
    // A request for a ready descriptor shows nothing before it is submitted.
    return watches_.has_changes() || ring_.queued() != 0 || cancellations_.any_queued()
               ? Peek::kCannotTell
               : Peek::kNothing;
  }

  // Where completions are deferred to the next io_uring_enter(), the ring's descriptor does not
  // wake a sleeper; nor does an eventfd that is registered with the ring, more than once, if the
  // watched file is itself an eventfd. The descriptor of a ring with the older flags does. It stays
  // the same from here on, so that ring has to be large.
  absl::StatusOr<int> pollable_fd() override {
    if (ring_.defers_completions() || may_grow_) {
      if (int error = replace_ring(std::max(options_.rung, kPollableRung)); error != 0) {
        return io_uring_refusal(error, "io_uring_setup");
      }
    }
    may_grow_ = false;
    return ring_.fd();
  }

 private:
  using Completion = IoUringRing::Completion;

  static constexpr unsigned kPollableRung = 1;
  static constexpr std::size_t kFirstCapacity = 16;

  // A watch that ignores read-hang-up makes a second request in the same wait. The bound is for a
  // process whose requests are cancelled by another part of it again and again.
  static constexpr int kRounds = 4;

  // Submits changes, sleeps if there is no reason not to, and reports. Returns an errno.
  int go_round(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) {
    int error = 0;
    if (watches_.has_changes() || cancellations_.any_pending() || !backlog_.empty()) {
      const std::size_t before = ready.size();
      error = prepare(ready);
      if (ready.size() != before) {
        return error;
      }
      if (watches_.has_changes() || refused_ != 0) {
        timeout = kNoSleep;  // the ring lacks a watch, or the owner an error
      }
    }
    if (error == 0) {
      error = enter(timeout);
    }
    reap(ready);
    return error;
  }

  // --- submitting -------------------------------------------------------------------------------

  // Returns an errno; the changes that are left then wait for the next time.
  int prepare(std::vector<FdEvent>& ready) {
    if (may_grow_ && requests_ + watches_.changes() > kManyWatches) {
      grow();
    }
    int error = 0;
    watches_.apply_changes([&](std::uint32_t slot, IoUringWatch& watch) {
      error = apply(slot, watch);
      return error == 0;
    });
    // The completions of cancelled requests would end the sleep, so they come first.
    if (cancellations_.any_pending() && error == 0) {
      error = let_go();
    }
    if (!backlog_.empty()) {
      report_backlog(ready);
    }
    return error;
  }

  int apply(std::uint32_t slot, IoUringWatch& watch) {
    const bool asks = any(watch.asked());
    if (watch.in_flight() && !(asks && watch.is_submitted())) {
      cancel(slot, watch);
    }
    if (!asks || watch.in_flight()) {
      return 0;
    }
    if (int error = ring_.make_room(); error != 0) {
      return error;
    }
    watch.submit_as(next_request());
    ring_.add_poll(watch.fd, watch.bits(), watch.multishot(), watch.user_data(slot));
    ++requests_;
    return 0;
  }

  std::uint32_t next_request() {
    last_request_ += last_request_ + 1 == 0 ? 2 : 1;  // never 0
    return last_request_;
  }

  // --- cancelling -------------------------------------------------------------------------------

  // The watch has no request any more. The kernel has until let_go().
  void cancel(std::uint32_t slot, IoUringWatch& watch) {
    cancellations_.add(watch.user_data(slot));
    watch.request = 0;
    --requests_;
  }

  // Cancels all requests, so that the kernel holds no file on account of this monitor. In a forked
  // child the requests belong to the parent.
  void release_files() {
    if (::getpid() == process_) {
      cancel_all();
      settle();
    }
  }

  // The next wait() submits another request for each watch.
  void cancel_all() {
    for (std::uint32_t slot = 0; slot < watches_.size(); ++slot) {
      if (watches_[slot].in_flight()) {
        cancel(slot, watches_[slot]);
        watches_.touch(slot);
      }
    }
  }

  // Returns when the kernel has released the files of all cancelled requests. Returns an errno.
  int let_go() {
    retire_from_backlog();
    return cancellations_.finish(ring_, [this] { return take_completions(); });
  }

  // Empties the completion ring without reporting: the reports are for the next wait(). Returns how
  // many completions there were.
  unsigned take_completions() {
    const unsigned count = ring_.ready();
    ring_.take_all([this](const Completion& completion) {
      if (is_current(completion)) {
        backlog_.push_back(completion);
      } else {
        cancellations_.retire(completion);
      }
    });
    return count;
  }

  // Those whose watch was disarmed since they came.
  void retire_from_backlog() {
    std::erase_if(backlog_, [this](const Completion& completion) {
      if (is_current(completion)) {
        return false;
      }
      cancellations_.retire(completion);
      return true;
    });
  }

  // --- another ring -----------------------------------------------------------------------------

  IoUringRing::Size size_of(unsigned completions) const {
    return {.submissions = options_.submissions,
            .completions = options_.completions != 0 ? options_.completions : completions};
  }

  // Without memory for a larger ring, removals are slow.
  [[gnu::noinline]] void grow() {
    may_grow_ = false;
    static_cast<void>(replace_ring(options_.rung));
  }

  // Moves all watches to a large ring. Returns an errno, and then everything is as before.
  int replace_ring(unsigned rung) {
    IoUringRing next;
    int error = next.open(size_of(kLargeRing), rung);
    if (error == 0 && enabled_) {
      error = next.enable();
    }
    if (error != 0) {
      return error;
    }
    cancel_all();
    settle();
    ring_ = std::move(next);
    backlog_.clear();
    cancellations_.clear();
    return 0;
  }

  // --- hearing from the kernel ------------------------------------------------------------------

  // Submits, lets the kernel publish, and sleeps if there is nothing to report. Returns an errno.
  int enter(std::chrono::nanoseconds timeout) {
    const bool asked = ring_.kernel_asks();
    if (timeout > kNoSleep && !asked && ring_.ready() == 0) {
      return ring_.enter(1, timeout);
    }
    return asked || ring_.queued() != 0 ? ring_.enter(0, kNoSleep) : 0;
  }

  void reap(std::vector<FdEvent>& ready) {
    ring_.take_all([&](const Completion& completion) { complete(completion, ready); });
  }

  [[gnu::noinline]] void report_backlog(std::vector<FdEvent>& ready) {
    for (const Completion& completion : backlog_) {
      complete(completion, ready);
    }
    backlog_.clear();
  }

  bool is_current(const Completion& completion) {
    const auto request = static_cast<std::uint32_t>(completion.user_data >> 32);
    return request != 0 &&
           watches_[static_cast<std::uint32_t>(completion.user_data)].request == request;
  }

  void complete(const Completion& completion, std::vector<FdEvent>& ready) {
    if (!is_current(completion)) {
      cancellations_.retire(completion);
      return;
    }
    const auto slot = static_cast<std::uint32_t>(completion.user_data);
    IoUringWatch& watch = watches_[slot];
    if (completion.last) {
      watch.request = 0;
      watch.wanted_only = watch.trigger == Trigger::kEdge;
      --requests_;
    }
    if (!any(watch.interest & watch.submitted_interest)) {
      return;  // changed or reported, and the next request is not submitted yet
    }
    if (completion.result < 0) {
      refuse(slot, watch, -completion.result, ready);
      return;
    }
    const Events events = watch.meant_by(static_cast<std::uint32_t>(completion.result));
    if (!any(events)) {
      wait_past(slot, watch);
      return;
    }
    ready.emplace_back(Key{slot, watch.generation}, events);
    if (watch.trigger == Trigger::kEdge) {
      renew_edge(slot, watch, events);
    } else {
      end_or_renew(slot, watch);
    }
  }

  // After events that the owner did not ask for. A file without readiness has no others. This and
  // refuse() are kept out of line for the sake of the common case.
  [[gnu::noinline]] void wait_past(std::uint32_t slot, IoUringWatch& watch) {
    if (watch.in_flight()) {
      return;
    }
    if (!std::exchange(watch.ignore_rdhup, true) || is_pollable(watch.fd)) {
      watches_.touch(slot);
    }
  }

  // If the kernel has ended the request, the next one asks for what is still wanted. If nothing is,
  // want() makes it, since a hang-up would be reported again and again.
  void renew_edge(std::uint32_t slot, IoUringWatch& watch, Events events) {
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    if (!watch.in_flight() && any(watch.wanted)) {
      watches_.touch(slot);
    }
  }

  // kLevel makes another request with the next wait, for the kernel has no level-triggered poll
  // request. A request that ignores read-hang-up is multishot, and has served its purpose.
  void end_or_renew(std::uint32_t slot, IoUringWatch& watch) {
    watch.ignore_rdhup = false;
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
    }
    if (watch.in_flight()) {
      cancel(slot, watch);
    }
    if (watch.trigger == Trigger::kLevel) {
      watches_.touch(slot);
    }
  }

  [[gnu::noinline]] void refuse(std::uint32_t slot, IoUringWatch& watch, int error,
                                std::vector<FdEvent>& ready) {
    switch (error) {
      case ECANCELED:  // not by this monitor
        break;
      case EBADF:
        watch.interest = Events::kNone;
        ready.emplace_back(Key{slot, watch.generation}, Events::kInvalid);
        return;
      case EINVAL:  // a file without readiness, and events that it never has
        if (!is_pollable(watch.fd)) {
          return;
        }
        [[fallthrough]];
      default:  // an error of the mechanism: ENOMEM, or a sandbox's
        refused_ = error;
    }
    watches_.touch(slot);  // makes another request, unless the owner moves to another monitor
  }

  const IoUringOptions options_;
  const pid_t process_ = ::getpid();
  IoUringRing ring_;
  bool enabled_ = false;
  bool may_grow_;
  int refused_ = 0;  // an errno that a completion brought and wait() has not returned yet
  std::uint32_t last_request_ = 0;
  std::size_t requests_ = 0;  // that watches have in flight
  IoUringCancellations cancellations_;
  std::vector<Completion> backlog_;  // completions that came outside wait()
  WatchTable<IoUringWatch> watches_;
  // After the end of the thread, no thread can cancel a request of a ring that is bound to it.
  ThreadEnd thread_end_{[this] { release_files(); }};
};

}  // namespace

absl::StatusOr<std::unique_ptr<FdMonitor>> make_io_uring_monitor(IoUringOptions options) {
  if (absl::Status status = io_uring_support(); !status.ok()) {
    return status;
  }
  auto monitor = std::make_unique<IoUringMonitor>(options);
  if (int error = monitor->open(); error != 0) {
    return io_uring_refusal(error, "io_uring_setup");
  }
  return monitor;
}

}  // namespace coaio::internal
