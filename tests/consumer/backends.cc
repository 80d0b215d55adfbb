// A program of another workspace that depends on //backends alone: a monitor sees a byte in a pipe.

#include <unistd.h>

#include <vector>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/events.h"
#include "backends/fd_monitor.h"

int main() {
  int pipe_ends[2];
  const absl::StatusOr<coaio::SelectedMonitor> selected =
      coaio::select_monitor(coaio::Backend::kAuto);
  if (!selected.ok() || pipe(pipe_ends) != 0 || write(pipe_ends[1], "x", 1) != 1) {
    return 1;
  }
  const coaio::Key key{.slot = 0, .generation = 1};
  std::vector<coaio::FdEvent> ready;
  selected->monitor->arm(pipe_ends[0], key, coaio::Events::kIn, coaio::Trigger::kOneShot);
  const bool waited = selected->monitor->wait(coaio::FdMonitor::kForever, ready).ok();
  return waited && ready.size() == 1 && ready[0].key == key ? 0 : 1;
}
