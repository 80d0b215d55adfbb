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
#include "backends/unique_fd.h"
#include "backends/watch_table.h"

namespace coaio {
namespace {

struct EpollWatch : Watch {
  bool registered = false;      // the kernel's set has
  int told_fd = -1;             // this descriptor
  std::uint64_t told_key = 0;   // under this key
  std::uint32_t told_bits = 0;  // with these bits
};

std::uint64_t to_data(std::uint32_t slot, std::uint32_t generation) {
  return std::uint64_t{generation} << 32 | slot;
}

Key to_key(std::uint64_t data) {
  return {.slot = static_cast<std::uint32_t>(data),
          .generation = static_cast<std::uint32_t>(data >> 32)};
}

std::uint32_t trigger_bits(const Watch& watch) {
  if (!any(watch.interest)) {
    return EPOLLONESHOT;  // registered and silent: not even hang-up and error are reported
  }
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

class EpollMonitor final : public FdMonitor {
 public:
  explicit EpollMonitor(UniqueFd epoll) : epoll_(std::move(epoll)), buffer_(kFirstBuffer) {}

  absl::string_view name() const override { return "epoll"; }

  // --- change ---------------------------------------------------------------------------------------

  void arm(int fd, Key key, Events interest, Trigger trigger) override {
    watches_.arm(fd, key, interest, trigger);
  }

  void want(Key key, Events interest) override {
    // The kernel needs no reminder, except where it refused the file and we answer for it.
    EpollWatch* watch = watches_.find(key);
    if (watch != nullptr && watch->unpollable) {
      watch->interest |= interest;
      watches_.touch(key.slot);
    }
  }

  void disarm(Key key) override { watches_.disarm(key); }

  // --- wait -----------------------------------------------------------------------------------------

  absl::Status wait(std::chrono::nanoseconds timeout, std::vector<Ready>& ready) override {
    const std::size_t before = ready.size();
    if (absl::Status status = apply_changes(ready); !status.ok()) {
      return status;
    }
    watches_.report_unpollable(ready);
    const int count = epoll(ready.size() == before ? timeout : std::chrono::nanoseconds(0));
    if (count < 0) {
      return errno == EINTR ? absl::OkStatus() : errno_status(errno, "epoll_wait");
    }
    bool stale = false;
    for (int i = 0; i < count; ++i) {
      stale |= !deliver(buffer_[static_cast<std::size_t>(i)], ready);
    }
    if (static_cast<std::size_t>(count) == buffer_.size()) {
      buffer_.resize(buffer_.size() * 2);  // the rest is reported by the next wait
    }
    return stale ? rebuild() : absl::OkStatus();
  }

  Peek peek() const override {
    return watches_.has_unpollable() ? Peek::kReady : Peek::kCannotTell;
  }

  absl::StatusOr<int> pollable_fd() override { return epoll_.get(); }

 private:
  static constexpr std::size_t kFirstBuffer = 128;

  // --- telling the kernel ---------------------------------------------------------------------------

  absl::Status apply_changes(std::vector<Ready>& ready) {
    absl::Status status;
    watches_.apply_changes([&](std::uint32_t slot, EpollWatch& watch) {
      status = apply(slot, watch, ready);
      return status.ok();
    });
    return status;
  }

  absl::Status apply(std::uint32_t slot, EpollWatch& watch, std::vector<Ready>& ready) {
    if (!watch.live) {
      forget(watch);
      return absl::OkStatus();
    }
    if (watch.unpollable) {
      watches_.list_unpollable(slot);
      return absl::OkStatus();
    }
    const std::uint64_t data = to_data(slot, watch.generation);
    const std::uint32_t bits = trigger_bits(watch);
    if (watch.registered && watch.told_key == data && watch.told_bits == bits) {
      return absl::OkStatus();
    }
    switch (const int error = tell(watch, data, bits)) {
      case 0:
        return absl::OkStatus();
      case EPERM:
        watches_.list_unpollable(slot);
        return absl::OkStatus();
      case EBADF:
        watch.interest = Events::kNone;
        ready.push_back({.key = to_key(data), .events = Events::kInvalid});
        return absl::OkStatus();
      default:  // ENOMEM, or ENOSPC: /proc/sys/fs/epoll/max_user_watches is reached
        return errno_status(error, absl::StrCat("epoll_ctl for descriptor ", watch.fd));
    }
  }

  // The number may stand for another file than the one in the set, without our having been told:
  // whichever of the two operations fits is right. Returns an errno.
  int tell(EpollWatch& watch, std::uint64_t data, std::uint32_t bits) {
    if (watch.told_fd != watch.fd) {
      forget(watch);
    }
    int error = control(watch.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch.fd, bits, data);
    if (error == ENOENT) {
      error = control(EPOLL_CTL_ADD, watch.fd, bits, data);
    } else if (error == EEXIST) {
      error = control(EPOLL_CTL_MOD, watch.fd, bits, data);
    }
    watch.registered = error == 0;
    watch.told_fd = watch.fd;
    watch.told_key = data;
    watch.told_bits = bits;
    return error;
  }

  int control(int operation, int fd, std::uint32_t bits, std::uint64_t data) const {
    epoll_event event{.events = bits, .data = {.u64 = data}};
    return epoll_ctl(epoll_.get(), operation, fd, &event) == 0 ? 0 : errno;
  }

  // ENOENT and EBADF mean that the descriptor was closed, and left the set by that.
  void forget(EpollWatch& watch) {
    if (std::exchange(watch.registered, false)) {
      control(EPOLL_CTL_DEL, watch.told_fd, 0, 0);
    }
  }

  // A closed descriptor whose file lives on elsewhere (dup, fork) stays in the set, out of reach of
  // epoll_ctl: only a new set is rid of it.
  absl::Status rebuild() {
    UniqueFd fresh(epoll_create1(EPOLL_CLOEXEC));
    if (!fresh.valid()) {
      return errno_status(errno, "epoll_create1");
    }
    epoll_ = std::move(fresh);
    for (std::uint32_t slot = 0; slot < watches_.size(); ++slot) {
      if (std::exchange(watches_[slot].registered, false) && watches_[slot].live) {
        watches_.touch(slot);
      }
    }
    return absl::OkStatus();
  }

  // --- hearing from it ------------------------------------------------------------------------------

  int epoll(std::chrono::nanoseconds timeout) {
    const int capacity = static_cast<int>(buffer_.size());
    if (timeout <= std::chrono::nanoseconds(0) || timeout == kForever) {
      return epoll_wait(epoll_.get(), buffer_.data(), capacity, timeout == kForever ? -1 : 0);
    }
    const timespec limit = to_timespec(timeout);
    if (has_pwait2_) {
      const int count = epoll_pwait2(epoll_.get(), buffer_.data(), capacity, &limit, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return count;
      }
      has_pwait2_ = false;
    }
    pollfd set{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
    const int count = ppoll(&set, 1, &limit, nullptr);
    return count <= 0 ? count : epoll_wait(epoll_.get(), buffer_.data(), capacity, 0);
  }

  // False for a report that no live watch stands behind.
  bool deliver(const epoll_event& event, std::vector<Ready>& ready) {
    const Key key = to_key(event.data.u64);
    EpollWatch* watch = watches_.find(key);
    if (watch == nullptr) {
      return false;
    }
    if (watch->trigger == Trigger::kOneShot) {
      watch->interest = Events::kNone;
      watch->told_bits = EPOLLONESHOT;
    }
    ready.push_back({.key = key, .events = events_of(event.events)});
    return true;
  }

  UniqueFd epoll_;
  WatchTable<EpollWatch> watches_;
  std::vector<epoll_event> buffer_;
  bool has_pwait2_ = true;                 // until the kernel, or a sandbox, says otherwise
};

}  // namespace

absl::StatusOr<std::unique_ptr<FdMonitor>> make_epoll_monitor() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) {
    return errno_status(errno, "epoll_create1");
  }
  return std::make_unique<EpollMonitor>(std::move(epoll));
}

}  // namespace coaio
