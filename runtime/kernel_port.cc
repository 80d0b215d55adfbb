#include "runtime/kernel_port.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "runtime/fd_table.h"
#include "runtime/wakeup.h"

namespace coaio::internal {

KernelPort::KernelPort(SelectedMonitor selected, FdTable& fds, Wakeup& wakeup, std::uint64_t& moves)
    : monitor_(std::move(selected.monitor)),
      migrate_at_(selected.migrate_at),
      reason_(std::move(selected.reason)),
      fds_(fds),
      wakeup_(wakeup),
      moves_(moves) {}

void KernelPort::watch_wakeup() {
  wakeup_key_ = {.slot = static_cast<std::uint32_t>(wakeup_.fd()),
                 .generation = std::numeric_limits<std::uint32_t>::max()};
  monitor_->arm(wakeup_.fd(), wakeup_key_, Events::kIn, Trigger::kEdge);
  monitor_->want(wakeup_key_, Events::kIn);
}

void KernelPort::wait(std::chrono::nanoseconds timeout) {
  if (fds_.watched() >= migrate_at_) {
    move_to(monitor_for_many(fds_.watched()));
  }
  ready_.clear();
  fds_.looked();
  const absl::Status status = monitor_->wait(timeout, ready_);
  for (const FdEvent& ready : ready_) {
    if (ready.key == wakeup_key_) {
      wakeup_.drain();
      monitor_->want(wakeup_key_, Events::kIn);
    } else {
      fds_.report(ready.key, ready.events);
    }
  }
  // The back end has begun to fail: a sandbox was installed, or the kernel is out of something.
  if (!status.ok()) {
    move_to(next_monitor(*monitor_, status, reason_));
  }
}

// Nothing is lost, since the table knows every watch, and the next monitor reports what is ready.
void KernelPort::move_to(SelectedMonitor next) {
  absl::StrAppend(&reason_, "; ", next.reason);
  monitor_ = std::move(next.monitor);
  migrate_at_ = next.migrate_at;
  ++moves_;
  fds_.move_to(*monitor_);
  watch_wakeup();
}

}  // namespace coaio::internal
