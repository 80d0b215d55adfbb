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

// When the kernel makes a ring, it sizes the table of poll requests by the completion ring. The
// table never grows, and the removal of a request walks one of its buckets. RLIMIT_MEMLOCK bounds
// the memory of all rings of a user. A monitor therefore begins with a small ring, and makes a
// large one when it has many watches. docs/decisions.md has the figures.
constexpr unsigned kSmallRing = 512;
constexpr unsigned kLargeRing = 8192;
constexpr std::size_t kManyWatches = 1024;

class IoUringMonitor final : public FdMonitor {
 public:
  explicit IoUringMonitor(IoUringOptions options)
      : options_(options), may_grow_(options.completions == 0) {
    backlog_.reserve(kFirstCapacity);
  }

  // Closing a ring leaves its requests, and the files that they hold, to a kernel worker.
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

  // After a failure the next wait() tries again.
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
    // A completion may have no event for the owner and yet make another request necessary. That
    // request is submitted by this wait, because a foreign loop may then sleep on the ring.
    for (int left = kRounds; left > 0; --left) {
      error = go_round(timeout, ready);
      if (ready.size() != before || !watches_.has_changes() || error != 0 || refused_ != 0) {
        break;
      }
      timeout = kNoSleep;
    }
    if (cancellations_.any_pending() && error == 0) {
      error = let_go();  // one-shot watches that needed a multishot request
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
    // A request posts no completion before it is submitted.
    return watches_.has_changes() || ring_.queued() != 0 || cancellations_.any_queued()
               ? Peek::kCannotTell
               : Peek::kNothing;
  }

  // If the kernel defers completions to the next io_uring_enter(2), the descriptor of the ring does
  // not wake a thread that sleeps on it. An eventfd that is registered with the ring wakes it only
  // once if the watched file is itself an eventfd. The descriptor of a ring with the older flags
  // always does. This descriptor stays the same from now on, so the new ring is a large one.
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

  // A watch that ignores read-hang-up makes a second request in the same wait. The bound matters if
  // another part of the process cancels the requests again and again.
  static constexpr int kRounds = 4;

  // Submits the changes, sleeps unless there is something to report, and reports. Returns an errno.
  int go_round(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) {
    int error = 0;
    if (watches_.has_changes() || cancellations_.any_pending() || !backlog_.empty()) {
      const std::size_t before = ready.size();
      error = prepare(ready);
      if (ready.size() != before) {
        return error;
      }
      if (watches_.has_changes() || refused_ != 0) {
        timeout = kNoSleep;  // a change is not submitted, or an error not returned
      }
    }
    if (error == 0) {
      error = enter(timeout);
    }
    reap(ready);
    return error;
  }

  // --- submitting -------------------------------------------------------------------------------

  // Returns an errno; the next wait() then submits the remaining changes.
  int prepare(std::vector<FdEvent>& ready) {
    if (may_grow_ && requests_ + watches_.changes() > kManyWatches) {
      grow();
    }
    int error = 0;
    watches_.apply_changes([&](std::uint32_t slot, IoUringWatch& watch) {
      error = apply(slot, watch);
      return error == 0;
    });
    // The completions of cancelled requests would end the sleep, so this wait takes them before.
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

  // The watch has no request any more. let_go() waits for the kernel.
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

  // Moves the completions from the ring to the backlog, which the next wait() reports. Returns how
  // many completions the ring held.
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

  // Removes the completions whose watch was disarmed after they were taken.
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

  // A failure is ignored: without memory for a larger ring, removals are slow.
  [[gnu::noinline]] void grow() {
    may_grow_ = false;
    static_cast<void>(replace_ring(options_.rung));
  }

  // Moves all watches to a large ring. Returns an errno, and then keeps the old ring.
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

  // --- receiving completions --------------------------------------------------------------------

  // Submits requests, lets the kernel publish completions, and sleeps if there is none. Returns an
  // errno.
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
      return;  // the interest was changed or reported, and the next request is not submitted yet
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

  // The completion had only events that the owner did not ask for. A file without readiness never
  // has other events. This function and refuse() are rare, so they stay out of line.
  [[gnu::noinline]] void wait_past(std::uint32_t slot, IoUringWatch& watch) {
    if (watch.in_flight()) {
      return;
    }
    if (!std::exchange(watch.ignore_rdhup, true) || is_pollable(watch.fd)) {
      watches_.touch(slot);
    }
  }

  // If the kernel has ended the request, the next request asks for the events that are still
  // wanted. If no event is wanted, the next want() makes that request. A request made here would
  // report a hang-up again and again.
  void renew_edge(std::uint32_t slot, IoUringWatch& watch, Events events) {
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    if (!watch.in_flight() && any(watch.wanted)) {
      watches_.touch(slot);
    }
  }

  // A kLevel watch makes another request with the next wait, because the kernel has no
  // level-triggered poll request. A request that ignores read-hang-up is multishot and would stay
  // in flight, so it is cancelled.
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
      case ECANCELED:  // another part of the process has cancelled the request
        break;
      case EBADF:
        watch.interest = Events::kNone;
        ready.emplace_back(Key{slot, watch.generation}, Events::kInvalid);
        return;
      case EINVAL:  // a file without readiness never has the events of this watch
        if (!is_pollable(watch.fd)) {
          return;
        }
        [[fallthrough]];
      default:  // an error of the mechanism: ENOMEM, or the errno of a sandbox
        refused_ = error;
    }
    watches_.touch(slot);  // the next wait() makes another request
  }

  const IoUringOptions options_;
  const pid_t process_ = ::getpid();
  IoUringRing ring_;
  bool enabled_ = false;
  bool may_grow_;
  int refused_ = 0;  // the errno of a completion, until wait() returns it
  std::uint32_t last_request_ = 0;
  std::size_t requests_ = 0;  // requests of watches in flight
  IoUringCancellations cancellations_;
  std::vector<Completion> backlog_;  // completions that wait() has not reported
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
