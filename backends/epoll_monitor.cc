#include "backends/epoll_monitor.h"

#include <poll.h>
#include <sys/epoll.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/epoll_unwatched_files.h"
#include "backends/epoll_watch.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/unique_fd.h"
#include "backends/watch_table.h"

namespace coaio::internal {
namespace {

// Returns an errno.
int control(int epoll, int operation, int fd, std::uint32_t bits, Key key) {
  epoll_event event{.events = bits, .data = {.u64 = to_data(key)}};
  return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : errno;
}

class EpollMonitor final : public FdMonitor {
 public:
  explicit EpollMonitor(UniqueFd epoll) : epoll_(std::move(epoll)), buffer_(kFirstCapacity) {}

  absl::string_view name() const override { return "epoll"; }

  // --- change -----------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    EpollWatch& watch = watches_.arm(fd, key, interest, trigger);
    watch.wanted = interest;
    if (trigger != Trigger::kEdge) {
      watch.asks_priority = any(interest & Events::kPriority);
    }
    if (std::exchange(watch.is_new, false)) {
      watch.number = ++last_number_;
    }
    watches_.touch(key.slot);
  }

  void want(Key key, Events interest) override {
    // The kernel needs no reminder for a file that it watches.
    const bool priority = any(interest & Events::kPriority);
    if (!unwatched_.has_had_any() && !priority) {
      return;
    }
    EpollWatch* watch = watches_.find(key);
    if (watch != nullptr && (priority || watch->kind != FileKind::kWatched)) {
      watch->asks_priority |= priority;
      watch->wanted |= interest & watch->interest;
      watches_.touch(key.slot);
    }
  }

  void disarm(Key key) override {
    if (const EpollWatch* watch = watches_.disarm(key)) {
      watches_.touch(key.slot);
      if (watch->registered) {
        disarmed_.push_back(key.slot);
      }
    }
  }

  // EPOLL_CTL_DEL needs an open descriptor. The file of a closed descriptor may still be open
  // elsewhere, and then stays registered.
  void settle() override {
    for (const std::uint32_t slot : disarmed_) {
      if (EpollWatch& watch = watches_[slot]; !watch.live) {
        unregister(slot, watch);
      }
    }
    disarmed_.clear();
  }

  // --- wait -------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) override {
    if (watches_.has_changes() || unwatched_.any_listed()) {
      if (absl::Status status = prepare(timeout, ready); !status.ok()) {
        return status;
      }
    }
    const int count = sleep(timeout);
    if (count <= 0) {
      return count == 0 || errno == EINTR ? absl::OkStatus() : errno_status(errno, "epoll_wait");
    }
    bool stale = false;
    for (const epoll_event* event = buffer_.data(); event != buffer_.data() + count; ++event) {
      stale |= !deliver(*event, ready);
    }
    if (count == capacity_) {
      grow();
    }
    return stale ? rebuild(ready) : absl::OkStatus();
  }

  Peek peek() const override { return unwatched_.any_listed() ? Peek::kReady : Peek::kCannotTell; }

  // Returns an outer epoll instance, which watches the inner one. The descriptor then stays the
  // same when rebuild() replaces the inner one.
  absl::StatusOr<int> pollable_fd() override {
    if (!outer_.valid()) {
      UniqueFd outer(epoll_create1(EPOLL_CLOEXEC));
      if (!outer.valid()) {
        return errno_status(errno, "epoll_create1");
      }
      if (int error = control(outer.get(), EPOLL_CTL_ADD, epoll_.get(), EPOLLIN, {}); error != 0) {
        return errno_status(error, "epoll_ctl");
      }
      outer_ = std::move(outer);
    }
    return outer_.get();
  }

 private:
  static constexpr int kFirstCapacity = 128;

  // --- registering ------------------------------------------------------------------------------

  // Applies the changes, and reports the files that epoll does not watch. If it reports a file, the
  // timeout becomes zero, so that the report does not wait for the kernel.
  [[gnu::noinline]] absl::Status prepare(std::chrono::nanoseconds& timeout,
                                         std::vector<FdEvent>& ready) {
    const std::size_t before = ready.size();
    disarmed_.clear();
    unwatched_.recheck();
    if (absl::Status status = apply_changes(ready); !status.ok()) {
      return status;
    }
    unwatched_.report(ready);
    if (ready.size() != before) {
      timeout = std::chrono::nanoseconds(0);
    }
    return absl::OkStatus();
  }

  absl::Status apply_changes(std::vector<FdEvent>& ready) {
    int error = 0;
    int fd = -1;
    watches_.apply_changes([&](std::uint32_t slot, EpollWatch& watch) {
      fd = watch.fd;
      error = apply(slot, watch, ready);
      return error == 0;
    });
    return error == 0 ? absl::OkStatus()
                      : errno_status(error, absl::StrCat("epoll_ctl for descriptor ", fd));
  }

  // Returns an errno: ENOMEM, ENOSPC (/proc/sys/fs/epoll/max_user_watches is reached), or the errno
  // of a sandbox.
  int apply(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    if (!any(watch.interest)) {  // true of every disarmed watch
      if (!watch.live || watch.registered_bits != kSpent) {
        unregister(slot, watch);
      }
      return 0;
    }
    if (watch.kind == FileKind::kAlwaysReady) {
      unwatched_.list(slot, watch);
      return 0;
    }
    if (watch.asks_priority || watch.kind == FileKind::kClearedByPoll) [[unlikely]] {
      unwatched_.poll_before_registering(slot, watch);
    }
    const int error = register_watch(slot, watch);
    if (is_of_descriptor(error)) {
      report_invalid(slot, watch, ready);
      return 0;
    }
    if (error == EPERM && !is_refused_by_sandbox()) {
      unwatched_.add_always_ready(slot, watch);
      return 0;
    }
    return error;
  }

  // The kernel refuses a file without readiness with EPERM, and many sandboxes refuse every call
  // with it. The kernel refuses an epoll instance that is to watch itself with EINVAL, a sandbox
  // does not.
  bool is_refused_by_sandbox() const {
    return control(epoll_.get(), EPOLL_CTL_ADD, epoll_.get(), 0, {}) == EPERM ||
           control(epoll_.get(), EPOLL_CTL_MOD, epoll_.get(), 0, {}) == EPERM;
  }

  // EBADF: the descriptor is not open. ELOOP: epoll instances that watch each other, too deep or in
  // a circle. EINVAL: this epoll instance itself.
  static bool is_of_descriptor(int error) {
    return error == EBADF || error == ELOOP || error == EINVAL;
  }

  static void report_invalid(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    watch.interest = Events::kNone;
    ready.emplace_back(Key{slot, watch.generation}, Events::kInvalid);
  }

  // The descriptor may refer to another file than the registered one, without a disarm() in
  // between. This function therefore tries EPOLL_CTL_ADD after a failed EPOLL_CTL_MOD, and the
  // reverse. Returns an errno.
  int register_watch(std::uint32_t slot, EpollWatch& watch) {
    const std::uint32_t bits = to_bits(watch);
    const Key key{slot, watch.generation};
    if (watch.registered && watch.registered_fd != watch.fd) {
      unregister(slot, watch);
    }
    const bool as_registered = watch.registered &&
                               watch.registered_generation == watch.generation &&
                               watch.registered_bits == bits;
    if (as_registered && watch.kind != FileKind::kClearedByPoll) {
      return 0;
    }
    if (is_taken_over(slot, watch)) {
      return EBADF;
    }
    const bool modify = watch.registered && !as_registered;
    int error = control(epoll_.get(), modify ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch.fd, bits, key);
    if (error == ENOENT) {
      error = control(epoll_.get(), EPOLL_CTL_ADD, watch.fd, bits, key);
    } else if (error == EEXIST) {
      // For a kClearedByPoll file that is still registered, EPOLL_CTL_MOD would clear a change.
      error = as_registered ? 0 : control(epoll_.get(), EPOLL_CTL_MOD, watch.fd, bits, key);
    }
    watch.registered = error == 0;
    if (watch.registered) {
      watch.registered_fd = watch.fd;
      watch.registered_generation = watch.generation;
      watch.registered_bits = bits;
      note_owner(watch.fd, slot);
    }
    return error;
  }

  // epoll knows descriptors, and this monitor knows slots. A slot that no longer owns its
  // descriptor must not modify or remove the registration of the new owner.
  void note_owner(int fd, std::uint32_t slot) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= owners_.size()) {
      owners_.resize(index + 1);
    }
    owners_[index] = slot;
  }

  // Whether a later key watches the same descriptor. The file of this watch was then closed without
  // a disarm(), and the kernel gave its descriptor to another file.
  bool is_taken_over(std::uint32_t slot, const EpollWatch& watch) {
    const auto index = static_cast<std::size_t>(watch.fd);
    if (index >= owners_.size() || owners_[index] == slot) {
      return false;
    }
    const EpollWatch& owner = watches_[owners_[index]];
    const auto later_by = static_cast<std::int32_t>(owner.number - watch.number);  // wraps
    return owner.fd == watch.fd && any(owner.interest) && later_by > 0;
  }

  // Errors are ignored: ENOENT and EBADF mean that the descriptor was closed, which normally
  // unregisters its file. If the file is still open elsewhere, it stays registered, and deliver()
  // detects its next event.
  void unregister(std::uint32_t slot, EpollWatch& watch) {
    if (std::exchange(watch.registered, false) &&
        owners_[static_cast<std::size_t>(watch.registered_fd)] == slot) {
      control(epoll_.get(), EPOLL_CTL_DEL, watch.registered_fd, 0, {});
    }
  }

  // Replaces the epoll instance. A file whose descriptor was closed stays registered while it is
  // open elsewhere (dup, fork), and epoll_ctl(2) cannot remove it without that descriptor.
  [[gnu::noinline]] absl::Status rebuild(std::vector<FdEvent>& ready) {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid()) {
      return errno_status(errno, "epoll_create1");
    }
    if (outer_.valid()) {
      int error = control(outer_.get(), EPOLL_CTL_ADD, epoll.get(), EPOLLIN, {});
      if (error == 0) {
        // A forked child may hold the old instance open, so closing it would not unregister it.
        error = control(outer_.get(), EPOLL_CTL_DEL, epoll_.get(), 0, {});
      }
      if (error != 0) {
        return errno_status(error, "epoll_ctl");
      }
    }
    epoll_ = std::move(epoll);
    for (std::uint32_t slot = 0; slot < watches_.size(); ++slot) {
      if (std::exchange(watches_[slot].registered, false)) {
        watches_.touch(slot);
      }
    }
    return apply_changes(ready);
  }

  // --- receiving events -------------------------------------------------------------------------

  int sleep(std::chrono::nanoseconds timeout) {
    if (timeout > std::chrono::nanoseconds(0) && timeout != kForever) {
      return sleep_at_most(to_timespec(timeout));
    }
    return epoll_wait(epoll_.get(), buffer_.data(), capacity_, timeout == kForever ? -1 : 0);
  }

  [[gnu::noinline]] int sleep_at_most(const timespec& limit) {
    if (has_pwait2_) {
      const int count = epoll_pwait2(epoll_.get(), buffer_.data(), capacity_, &limit, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return count;
      }
      has_pwait2_ = false;
    }
    pollfd entry{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
    const int count = ppoll(&entry, 1, &limit, nullptr);
    return count <= 0 ? count : epoll_wait(epoll_.get(), buffer_.data(), capacity_, 0);
  }

  // The buffer was full, so the kernel may have had more events.
  void grow() {
    capacity_ *= 2;
    buffer_.resize(static_cast<std::size_t>(capacity_));
  }

  // Returns false for an event without a live watch. A live watch with an empty interest counts as
  // none: its owner closed the descriptor and then emptied the interest, so unregister() failed.
  bool deliver(const epoll_event& event, std::vector<FdEvent>& ready) {
    const Key key = to_key(event.data.u64);
    EpollWatch& watch = watches_[key.slot];
    if (watch.kind == FileKind::kClearedByPoll) [[unlikely]] {
      return unwatched_.deliver(key, events_of(event.events), ready);
    }
    if (!any(watch.interest) || watch.generation != key.generation) {
      return false;
    }
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
      watch.registered_bits = kSpent;
    }
    ready.emplace_back(key, events_of(event.events));
    return true;
  }

  UniqueFd epoll_;
  UniqueFd outer_;
  WatchTable<EpollWatch> watches_;
  EpollUnwatchedFiles unwatched_{watches_};
  std::vector<std::uint32_t> disarmed_;  // slots that settle() has to unregister
  std::uint32_t last_number_ = 0;        // the highest EpollWatch::number
  std::vector<std::uint32_t> owners_;    // by descriptor: the slot that registered it last
  std::vector<epoll_event> buffer_;
  int capacity_ = kFirstCapacity;  // the size of buffer_
  bool has_pwait2_ = true;  // false after the kernel or a sandbox has refused epoll_pwait2(2)
};

}  // namespace

absl::StatusOr<std::unique_ptr<FdMonitor>> make_epoll_monitor() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) {
    return errno_status(errno, "epoll_create1");
  }
  return std::make_unique<EpollMonitor>(std::move(epoll));
}

}  // namespace coaio::internal
