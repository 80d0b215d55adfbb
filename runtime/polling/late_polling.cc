#include "runtime/polling/late_polling.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>

namespace coaio::internal {
namespace {

using std::chrono::nanoseconds;

constexpr unsigned kEnough = 8;          // intervals, before there is a window
constexpr nanoseconds kMargin{2000};     // after the latest expected time
constexpr nanoseconds kTimerCost{3000};  // of CPU, for the second sleep
constexpr int kExpectedToBeMissed = 12;  // one of so many

}  // namespace

void LatePolling::arrived(nanoseconds after) {
  const std::int64_t ns = after.count();
  if (seen_ == 0) {
    mean_ns_ = ns;
    deviation_ns_ = ns / 2;
  }
  const std::int64_t error = ns - mean_ns_;
  mean_ns_ += error / 8;
  deviation_ns_ += (std::abs(error) - deviation_ns_) / 4;
  seen_ += seen_ < kEnough ? 1 : 0;
}

std::optional<LatePolling::Window> LatePolling::window(nanoseconds wake_cost,
                                                       nanoseconds miss_cost) const {
  const nanoseconds mean(mean_ns_);
  const nanoseconds scatter = 2 * nanoseconds(deviation_ns_);
  const nanoseconds cost = kTimerCost + scatter + wake_cost / 2 + miss_cost / kExpectedToBeMissed;
  const nanoseconds sleep = mean - scatter - wake_cost * 3 / 2;
  if (seen_ < kEnough || cost >= miss_cost || sleep <= nanoseconds(0)) {
    return std::nullopt;
  }
  return Window{.sleep = sleep, .end = mean + scatter + kMargin};
}

}  // namespace coaio::internal
