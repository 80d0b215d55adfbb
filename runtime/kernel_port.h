// KernelPort: the kernel side of a context. It owns the monitor, passes its reports on to the fd
// table, watches the wake-up descriptor, and moves everything to another monitor when that is due.
//
// Threads: the home thread.
// Lifetime: the fd table and the wake-up outlive it, except that they may be destroyed before it
//   with the context that all three belong to.

#ifndef COAIO_RUNTIME_KERNEL_PORT_H_
#define COAIO_RUNTIME_KERNEL_PORT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "backends/fd_monitor.h"
#include "runtime/fd_table.h"
#include "runtime/wakeup.h"

namespace coaio::internal {

class KernelPort {
 public:
  // `moves` counts the moves to another monitor. The constructor does not use the references.
  KernelPort(SelectedMonitor selected, FdTable& fds, Wakeup& wakeup, std::uint64_t& moves);
  KernelPort(const KernelPort&) = delete;
  KernelPort& operator=(const KernelPort&) = delete;

  FdMonitor& monitor() { return *monitor_; }

  // "ppoll", "epoll" or "io_uring", and why it is this one.
  absl::string_view name() const { return monitor_->name(); }
  const std::string& reason() const { return reason_; }

  // Begins to watch the wake-up descriptor, which is open by now.
  void watch_wakeup();

  Peek peek() { return monitor_->peek(); }

  // Applies the changes of the watches, sleeps for at most `timeout`, and reports to the fd table.
  void wait(std::chrono::nanoseconds timeout);

 private:
  void move_to(SelectedMonitor next);

  std::unique_ptr<FdMonitor> monitor_;
  std::size_t migrate_at_;  // watches, with this monitor
  std::string reason_;
  FdTable& fds_;
  Wakeup& wakeup_;
  Key wakeup_key_;
  std::vector<FdEvent> ready_;  // what one wait reports
  std::uint64_t& moves_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_KERNEL_PORT_H_
