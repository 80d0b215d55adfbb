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
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/kernel_timeout.h"
#include "backends/poll_bits.h"
#include "backends/poll_now.h"
#include "backends/unique_fd.h"
#include "backends/watch_table.h"

namespace coaio {
namespace {

struct EpollWatch : Watch {
  bool registered = false;            // the set has
  int told_fd = -1;                   // this descriptor,
  std::uint32_t told_generation = 0;  // under this generation,
  std::uint32_t told_bits = 0;        // with these bits

  bool always_ready = false;      // the kernel cannot watch the file,
  bool listed = false;            // and its slot stands in always_ready_
  Events wanted = Events::kNone;  // kEdge: what of the interest is to be reported of such a file

  void renew() { always_ready = false; }
};

// What the kernel keeps of a one-shot watch that it has reported: not even hang-up and error. A set
// that is told so reports these two, so an interest that the owner empties is a removal.
constexpr std::uint32_t kSilent = EPOLLONESHOT;

constexpr Events kDirections = Events::kIn | Events::kOut;

std::uint64_t to_data(Key key) { return std::uint64_t{key.generation} << 32 | key.slot; }

Key to_key(std::uint64_t data) {
  return {.slot = static_cast<std::uint32_t>(data),
          .generation = static_cast<std::uint32_t>(data >> 32)};
}

std::uint32_t to_bits(const Watch& watch) {
  switch (watch.trigger) {
    case Trigger::kOneShot:
      return poll_bits(watch.interest) | EPOLLONESHOT;
    case Trigger::kEdge:
      return poll_bits(watch.interest) | EPOLLET;
    case Trigger::kLevel:
      break;
  }
  return poll_bits(watch.interest);
}

// Returns an errno.
int control(int epoll, int operation, int fd, std::uint32_t bits, Key key) {
  epoll_event event{.events = bits, .data = {.u64 = to_data(key)}};
  return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : errno;
}

class EpollMonitor final : public FdMonitor {
 public:
  explicit EpollMonitor(UniqueFd set) : set_(std::move(set)), buffer_(kFirstCapacity) {}

  absl::string_view name() const override { return "epoll"; }

  // --- change -----------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    watches_.arm(fd, key, interest, trigger).wanted = interest;
    watches_.touch(key.slot);
  }

  void want(Key key, Events interest) override {
    // The kernel needs no reminder, except of a file that it refused and that we answer for.
    if (!answers_for_files_) {
      return;
    }
    EpollWatch* watch = watches_.find(key);
    if (watch != nullptr && watch->always_ready) {
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
        forget(slot, watch);
      }
    }
    disarmed_.clear();
  }

  // --- wait -------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) override {
    if (watches_.has_changes() || !always_ready_.empty()) {
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

  Peek peek() const override { return always_ready_.empty() ? Peek::kCannotTell : Peek::kReady; }

  // A set around the set, so that the descriptor stays the same when the inner one is rebuilt.
  absl::StatusOr<int> pollable_fd() override {
    if (!outer_.valid()) {
      UniqueFd outer(epoll_create1(EPOLL_CLOEXEC));
      if (!outer.valid()) {
        return errno_status(errno, "epoll_create1");
      }
      if (int error = control(outer.get(), EPOLL_CTL_ADD, set_.get(), EPOLLIN, {}); error != 0) {
        return errno_status(error, "epoll_ctl");
      }
      outer_ = std::move(outer);
    }
    return outer_.get();
  }

 private:
  static constexpr int kFirstCapacity = 128;

  // --- telling the kernel -----------------------------------------------------------------------

  // Whatever it reports is not to wait for the kernel: the timeout becomes zero.
  [[gnu::noinline]] absl::Status prepare(std::chrono::nanoseconds& timeout,
                                         std::vector<FdEvent>& ready) {
    const std::size_t before = ready.size();
    disarmed_.clear();
    doubt_files();
    if (absl::Status status = apply_changes(ready); !status.ok()) {
      return status;
    }
    report_always_ready(ready);
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
    if (!any(watch.interest)) {  // as of a disarmed watch
      if (!watch.live || watch.told_bits != kSilent) {
        forget(slot, watch);
      }
      return 0;
    }
    if (watch.always_ready) {
      list_always_ready(slot, watch);
      return 0;
    }
    const int error = tell(slot, watch);
    if (is_of_descriptor(error)) {
      report_invalid(slot, watch, ready);
      return 0;
    }
    if (error == EPERM && is_always_ready(watch.fd)) {
      watch.always_ready = true;
      answers_for_files_ = true;
      list_always_ready(slot, watch);
      return 0;
    }
    return error;
  }

  // EBADF: no open file. ELOOP: sets within sets, too deep or in a circle. EINVAL: this set itself.
  static bool is_of_descriptor(int error) {
    return error == EBADF || error == ELOOP || error == EINVAL;
  }

  static void report_invalid(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    watch.interest = Events::kNone;
    ready.emplace_back(Key{slot, watch.generation}, Events::kInvalid);
  }

  // The number may stand for another file than the one in the set, without our having been told:
  // whichever of the two operations fits is right. Returns an errno.
  int tell(std::uint32_t slot, EpollWatch& watch) {
    const std::uint32_t bits = to_bits(watch);
    const Key key{slot, watch.generation};
    if (watch.registered && watch.told_fd != watch.fd) {
      forget(slot, watch);
    }
    if (watch.registered && watch.told_generation == watch.generation && watch.told_bits == bits) {
      return 0;
    }
    int error =
        control(set_.get(), watch.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch.fd, bits, key);
    if (error == ENOENT) {
      error = control(set_.get(), EPOLL_CTL_ADD, watch.fd, bits, key);
    } else if (error == EEXIST) {
      error = control(set_.get(), EPOLL_CTL_MOD, watch.fd, bits, key);
    }
    watch.registered = error == 0;
    if (watch.registered) {
      watch.told_fd = watch.fd;
      watch.told_generation = watch.generation;
      watch.told_bits = bits;
      own(watch.fd, slot);
    }
    return error;
  }

  // The set knows descriptors, we know slots: a removal that comes after the number went to another
  // slot must leave that one alone.
  void own(int fd, std::uint32_t slot) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= owners_.size()) {
      owners_.resize(index + 1);
    }
    owners_[index] = slot;
  }

  // Errors are ignored: ENOENT and EBADF mean that the descriptor was closed, and left the set by
  // that. If its file lives on elsewhere, it did not, and deliver() will find out.
  void forget(std::uint32_t slot, EpollWatch& watch) {
    if (std::exchange(watch.registered, false) &&
        owners_[static_cast<std::size_t>(watch.told_fd)] == slot) {
      control(set_.get(), EPOLL_CTL_DEL, watch.told_fd, 0, {});
    }
  }

  // A closed descriptor whose file lives on elsewhere (dup, fork) stays in the set, out of reach of
  // epoll_ctl: only a new set is rid of it.
  [[gnu::noinline]] absl::Status rebuild(std::vector<FdEvent>& ready) {
    UniqueFd set(epoll_create1(EPOLL_CLOEXEC));
    if (!set.valid()) {
      return errno_status(errno, "epoll_create1");
    }
    if (outer_.valid()) {
      int error = control(outer_.get(), EPOLL_CTL_ADD, set.get(), EPOLLIN, {});
      if (error == 0) {
        // Closing does not take the old set out while a forked child has it too.
        error = control(outer_.get(), EPOLL_CTL_DEL, set_.get(), 0, {});
      }
      if (error != 0) {
        return errno_status(error, "epoll_ctl");
      }
    }
    set_ = std::move(set);
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
    return epoll_wait(set_.get(), buffer_.data(), capacity_, timeout == kForever ? -1 : 0);
  }

  [[gnu::noinline]] int sleep_at_most(const timespec& limit) {
    if (has_pwait2_) {
      const int count = epoll_pwait2(set_.get(), buffer_.data(), capacity_, &limit, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return count;
      }
      has_pwait2_ = false;
    }
    pollfd set{.fd = set_.get(), .events = POLLIN, .revents = 0};
    const int count = ppoll(&set, 1, &limit, nullptr);
    return count <= 0 ? count : epoll_wait(set_.get(), buffer_.data(), capacity_, 0);
  }

  // There was more to report: the next wait has room for it.
  void grow() {
    capacity_ *= 2;
    buffer_.resize(static_cast<std::size_t>(capacity_));
  }

  // False for a report that no live watch stands behind: an interest that is empty was withdrawn
  // from a number that was closed by then.
  bool deliver(const epoll_event& event, std::vector<FdEvent>& ready) {
    const Key key = to_key(event.data.u64);
    EpollWatch& watch = watches_[key.slot];
    if (!any(watch.interest) || watch.generation != key.generation) {
      return false;
    }
    if (watch.trigger == Trigger::kOneShot) {
      watch.interest = Events::kNone;
      watch.told_bits = kSilent;
    }
    ready.emplace_back(key, events_of(event.events));
    return true;
  }

  // --- files that the kernel cannot watch -------------------------------------------------------

  // Those that are still listed are to be reported at every wait: not for ever, when the number has
  // been closed, and not of the file that has it next.
  void doubt_files() {
    for (const std::uint32_t slot : always_ready_) {
      if (!is_always_ready(watches_[slot].fd)) {
        watches_[slot].always_ready = false;
        watches_.touch(slot);
      }
    }
  }

  void list_always_ready(std::uint32_t slot, EpollWatch& watch) {
    if (!std::exchange(watch.listed, true)) {
      always_ready_.push_back(slot);
    }
  }

  void report_always_ready(std::vector<FdEvent>& ready) {
    std::erase_if(always_ready_, [&](std::uint32_t slot) {
      EpollWatch& watch = watches_[slot];
      watch.listed = watch.always_ready && report_file(slot, watch, ready);
      return !watch.listed;
    });
  }

  // Whether to report it by the next wait too.
  bool report_file(std::uint32_t slot, EpollWatch& watch, std::vector<FdEvent>& ready) {
    const Events left = watch.trigger == Trigger::kEdge ? watch.wanted : kDirections;
    const Events events = watch.interest & left & kDirections;
    if (any(events)) {
      ready.emplace_back(Key{slot, watch.generation}, events);
    }
    watch.wanted = Events::kNone;
    if (watch.trigger == Trigger::kOneShot) {
      // By the time that it is armed again, the number may stand for another file.
      watch.interest = Events::kNone;
      watch.always_ready = false;
    }
    return any(events) && watch.trigger == Trigger::kLevel;
  }

  UniqueFd set_;
  UniqueFd outer_;
  WatchTable<EpollWatch> watches_;
  std::vector<std::uint32_t> disarmed_;  // slots of registered watches, since settle() or wait()
  std::vector<std::uint32_t> owners_;    // by descriptor: the slot that registered it last
  std::vector<std::uint32_t> always_ready_;  // slots
  bool answers_for_files_ = false;           // some watch was always ready: few programs have one
  std::vector<epoll_event> buffer_;
  int capacity_ = kFirstCapacity;  // of buffer_
  bool has_pwait2_ = true;         // until the kernel, or a sandbox, says otherwise
};

}  // namespace

absl::StatusOr<std::unique_ptr<FdMonitor>> make_epoll_monitor() {
  UniqueFd set(epoll_create1(EPOLL_CLOEXEC));
  if (!set.valid()) {
    return errno_status(errno, "epoll_create1");
  }
  return std::make_unique<EpollMonitor>(std::move(set));
}

}  // namespace coaio
