#include "backends/epoll_monitor.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

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
#include "backends/epoll_watch.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/poll_now.h"
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
    // The kernel needs no reminder. Only the files that this monitor asks or answers for itself do.
    const bool priority = any(interest & Events::kPriority);
    if (!has_special_files_ && !priority) {
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

  // Once a descriptor is closed, EPOLL_CTL_DEL cannot name it, although its file may live on.
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
    if (watches_.has_changes() || !listed_.empty()) {
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

  Peek peek() const override { return listed_.empty() ? Peek::kCannotTell : Peek::kReady; }

  // An epoll instance that watches the inner one, so that the descriptor stays the same when the
  // inner one is replaced.
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

  // Applies the changes, and reports the files that this monitor answers for. If any is reported,
  // the timeout becomes zero: a report must not wait for the kernel.
  [[gnu::noinline]] absl::Status prepare(std::chrono::nanoseconds& timeout,
                                         std::vector<FdEvent>& ready) {
    const std::size_t before = ready.size();
    disarmed_.clear();
    recheck_listed();
    if (absl::Status status = apply_changes(ready); !status.ok()) {
      return status;
    }
    report_listed(ready);
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

  // Returns an errno: ENOMEM, ENOSPC (/proc/sys/fs/epoll/max_user_watches is reached), or a
  // sandbox's.
  int apply(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    if (!any(watch.interest)) {  // as that of a disarmed watch is
      if (!watch.live || watch.registered_bits != kSpent) {
        unregister(slot, watch);
      }
      return 0;
    }
    if (watch.kind == FileKind::kAlwaysReady) {
      list(slot, watch);
      return 0;
    }
    if (watch.asks_priority || watch.kind == FileKind::kClearedByPoll) [[unlikely]] {
      look_before_registering(slot, watch);
    }
    const int error = register_watch(slot, watch);
    if (is_of_descriptor(error)) {
      report_invalid(slot, watch, ready);
      return 0;
    }
    if (error == EPERM && !is_refused_by_sandbox()) {
      watch.kind = FileKind::kAlwaysReady;
      has_special_files_ = true;
      list(slot, watch);
      return 0;
    }
    return error;
  }

  // The kernel refuses a file without readiness with the errno of many sandboxes. epoll can always
  // be asked for an epoll instance, and refuses its own with EINVAL.
  bool is_refused_by_sandbox() const {
    return control(epoll_.get(), EPOLL_CTL_ADD, epoll_.get(), 0, {}) == EPERM ||
           control(epoll_.get(), EPOLL_CTL_MOD, epoll_.get(), 0, {}) == EPERM;
  }

  // EBADF: no open file. ELOOP: sets within sets, too deep or in a circle. EINVAL: this set itself.
  static bool is_of_descriptor(int error) {
    return error == EBADF || error == ELOOP || error == EINVAL;
  }

  static void report_invalid(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    watch.interest = Events::kNone;
    ready.emplace_back(Key{slot, watch.generation}, Events::kInvalid);
  }

  // The descriptor may stand for another file than the registered one, without a disarm() in
  // between: whichever of the two operations fits is right. Returns an errno.
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
      // A file of kClearedByPoll that is still registered: EPOLL_CTL_MOD would clear a change.
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
  // descriptor must neither modify nor remove the registration of the slot that does.
  void note_owner(int fd, std::uint32_t slot) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= owners_.size()) {
      owners_.resize(index + 1);
    }
    owners_[index] = slot;
  }

  // Whether a later key watches the same descriptor. The file of this one has then been closed
  // without a disarm(), and its descriptor was used again.
  bool is_taken_over(std::uint32_t slot, const EpollWatch& watch) {
    const auto index = static_cast<std::size_t>(watch.fd);
    if (index >= owners_.size() || owners_[index] == slot) {
      return false;
    }
    const EpollWatch& owner = watches_[owners_[index]];
    const auto later_by = static_cast<std::int32_t>(owner.number - watch.number);  // wraps
    return owner.fd == watch.fd && any(owner.interest) && later_by > 0;
  }

  // Errors are ignored: ENOENT and EBADF mean that the descriptor was closed, which removed it from
  // the epoll instance. If its file is still open elsewhere, the file was not removed, and
  // deliver() will find out.
  void unregister(std::uint32_t slot, EpollWatch& watch) {
    if (std::exchange(watch.registered, false) &&
        owners_[static_cast<std::size_t>(watch.registered_fd)] == slot) {
      control(epoll_.get(), EPOLL_CTL_DEL, watch.registered_fd, 0, {});
    }
  }

  // A closed descriptor whose file is still open elsewhere (dup, fork) stays in the epoll instance,
  // and epoll_ctl cannot name it any more. The cure is a new epoll instance.
  [[gnu::noinline]] absl::Status rebuild(std::vector<FdEvent>& ready) {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid()) {
      return errno_status(errno, "epoll_create1");
    }
    if (outer_.valid()) {
      int error = control(outer_.get(), EPOLL_CTL_ADD, epoll.get(), EPOLLIN, {});
      if (error == 0) {
        // Closing the old instance does not remove it while a forked child holds it open, too.
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

  // --- hearing from it --------------------------------------------------------------------------

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

  // The kernel may have had more to report: the next wait has room for it.
  void grow() {
    capacity_ *= 2;
    buffer_.resize(static_cast<std::size_t>(capacity_));
  }

  // Returns false for an event without a live watch. The interest of a live watch is empty if its
  // owner emptied it after the descriptor was closed: unregister() failed then.
  bool deliver(const epoll_event& event, std::vector<FdEvent>& ready) {
    const Key key = to_key(event.data.u64);
    EpollWatch& watch = watches_[key.slot];
    if (watch.kind == FileKind::kClearedByPoll) [[unlikely]] {
      return deliver_cleared_by_poll(key, event, ready);
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

  // --- files that this monitor asks or answers for ----------------------------------------------

  // Whether a listed file is still what it was listed for: the descriptor may have been closed, and
  // may stand for another file by now.
  void recheck_listed() {
    for (const std::uint32_t slot : listed_) {
      EpollWatch& watch = watches_[slot];
      if (watch.kind == FileKind::kClearedByPoll) {
        look_at_cleared_by_poll(watch);
      } else if (watch.kind == FileKind::kAlwaysReady && !is_always_ready(watch.fd)) {
        watch.kind = FileKind::kWatched;
        watches_.touch(slot);
      }
    }
  }

  void list(std::uint32_t slot, EpollWatch& watch) {
    if (!std::exchange(watch.listed, true)) {
      listed_.push_back(slot);
    }
  }

  void report_listed(std::vector<FdEvent>& ready) {
    std::erase_if(listed_, [&](std::uint32_t slot) {
      EpollWatch& watch = watches_[slot];
      watch.listed = report_file(slot, watch, ready);
      return !watch.listed;
    });
  }

  // Returns whether the next wait is to report the file, too.
  bool report_file(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    switch (watch.kind) {
      case FileKind::kAlwaysReady:
        return report_always_ready(slot, watch, ready);
      case FileKind::kClearedByPoll:
        return report_held(slot, watch, ready);
      case FileKind::kWatched:
        break;
    }
    return false;
  }

  static bool report_always_ready(std::uint32_t slot, EpollWatch& watch,
                                  std::vector<FdEvent>& ready) {
    const Events left = watch.trigger == Trigger::kEdge ? watch.wanted : kDirections;
    const Events events = watch.interest & left & kDirections;
    if (any(events)) {
      ready.emplace_back(Key{slot, watch.generation}, events);
    }
    watch.wanted = Events::kNone;
    if (watch.trigger == Trigger::kOneShot) {
      // By the time that it is armed again, the descriptor may stand for another file.
      watch.interest = Events::kNone;
      watch.kind = FileKind::kWatched;
    }
    return any(events) && watch.trigger == Trigger::kLevel;
  }

  // --- files whose change poll(2) clears --------------------------------------------------------

  // The files of kClearedByPoll are regular files that epoll accepts, and the change that they
  // report is a priority event. Registering such a file clears it, so it is fetched before.
  [[gnu::noinline]] void look_before_registering(std::uint32_t slot, EpollWatch& watch) {
    struct stat file{};
    const bool regular = ::fstat(watch.fd, &file) == 0 && S_ISREG(file.st_mode);
    watch.kind = regular ? FileKind::kClearedByPoll : FileKind::kWatched;
    if (regular) {
      has_special_files_ = true;
      look_at_cleared_by_poll(watch);
      list(slot, watch);
    }
  }

  // Only for a watch with an interest: a dead watch would clear what its successor must see.
  static void look_at_cleared_by_poll(EpollWatch& watch) {
    if (any(watch.interest)) {
      watch.held |= poll_now(watch.fd, kEverything);
    }
  }

  [[gnu::noinline]] bool deliver_cleared_by_poll(Key key, const epoll_event& event,
                                                 std::vector<FdEvent>& ready) {
    EpollWatch& watch = watches_[key.slot];
    if (!watch.live || watch.generation != key.generation) {
      return false;
    }
    watch.held |= events_of(event.events);  // kept while nothing is wanted
    if (report_held(key.slot, watch, ready)) {
      list(key.slot, watch);
    }
    return true;
  }

  // Returns whether the file is to be asked again by the next wait: a level lasts.
  static bool report_held(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    const Events asked =
        watch.trigger == Trigger::kEdge ? watch.wanted & watch.interest : watch.interest;
    const Events events = watch.held & (asked | kFailure);
    if (!any(asked) || !any(events)) {
      return false;
    }
    ready.emplace_back(Key{slot, watch.generation}, events);
    watch.held &= Events::kPriority & ~events;  // the rest is there to be seen again
    watch.wanted = any(events & kFailure) ? Events::kNone : watch.wanted & ~events;
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
    }
    return watch.trigger == Trigger::kLevel;
  }

  UniqueFd epoll_;
  UniqueFd outer_;
  WatchTable<EpollWatch> watches_;
  std::vector<std::uint32_t> disarmed_;  // slots of registered watches, since settle() or wait()
  std::uint32_t last_number_ = 0;        // of a key
  std::vector<std::uint32_t> owners_;    // by descriptor: the slot that registered it last
  std::vector<std::uint32_t> listed_;    // slots of files that the next wait reports or asks
  bool has_special_files_ = false;       // some file was not kWatched: few programs have one
  std::vector<epoll_event> buffer_;
  int capacity_ = kFirstCapacity;  // of buffer_
  bool has_pwait2_ = true;         // until the kernel, or a sandbox, says otherwise
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
