#include "backends/io_uring_support.h"

#include <atomic>
#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "backends/io_uring_refusal.h"
#include "backends/io_uring_ring.h"

namespace coaio::internal {
namespace {

// Each of the three system calls that a ring needs may be refused by itself.
absl::Status probe() {
  IoUringRing ring;
  if (int error = ring.open({.submissions = 2, .completions = 4}, IoUringRing::kOldestRung);
      error != 0) {
    return io_uring_refusal(error, "io_uring_setup");
  }
  if (int error = ring.enable(); error != 0) {
    return io_uring_refusal(error, "io_uring_register");
  }
  ring.add_nop();
  if (int error = ring.enter(1, IoUringRing::kForever); error != 0) {
    return io_uring_refusal(error, "io_uring_enter");
  }
  return absl::OkStatus();
}

// Whether a later probe may succeed.
bool may_pass(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EINTR:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::Status io_uring_support() {
  static std::atomic<const absl::Status*> kept{nullptr};
  // Acquire: pairs with the release below, so that the status is read after it was written.
  if (const absl::Status* status = kept.load(std::memory_order_acquire)) {
    return *status;
  }
  absl::Status status = probe();
  if (!may_pass(errno_of(status))) {
    const auto* lasting = new absl::Status(status);
    const absl::Status* none = nullptr;
    if (!kept.compare_exchange_strong(none, lasting, std::memory_order_release,
                                      std::memory_order_relaxed)) {
      delete lasting;  // another thread probed at the same time
    }
  }
  return status;
}

}  // namespace coaio::internal
