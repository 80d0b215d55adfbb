#include "runtime/polling/wake_cost.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "backends/kernel_timeout.h"
#include "backends/unique_fd.h"

namespace coaio::internal {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kUnknown = std::chrono::microseconds(30);
constexpr nanoseconds kSleep = std::chrono::microseconds(50);
constexpr std::size_t kSleeps = 32;
constexpr nanoseconds kLeast = std::chrono::microseconds(1);
// No wake after so short a sleep was seen to cost as much. A larger value comes from a machine that
// is busy at the moment, and would hold for as long as the process lives.
constexpr nanoseconds kMost = std::chrono::microseconds(100);

// A timerfd, because the timer slack of the thread does not apply to it. No second thread, because
// the scheduler may put it on the CPU of this one, which then is not idle.
nanoseconds measure() {
  const UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  std::array<nanoseconds, kSleeps> lateness{};
  for (nanoseconds& late : lateness) {
    const itimerspec once{.it_interval = {}, .it_value = to_timespec(kSleep)};
    const auto due = std::chrono::steady_clock::now() + kSleep;
    std::uint64_t expirations = 0;
    if (timerfd_settime(timer.get(), 0, &once, nullptr) != 0 ||
        read(timer.get(), &expirations, sizeof expirations) != sizeof expirations) {
      return kUnknown;
    }
    late = std::chrono::steady_clock::now() - due;
  }
  std::nth_element(lateness.begin(), lateness.begin() + kSleeps / 2, lateness.end());
  return clamp_wake_cost(lateness[kSleeps / 2]);
}

}  // namespace

nanoseconds clamp_wake_cost(nanoseconds measured) { return std::clamp(measured, kLeast, kMost); }

nanoseconds wake_cost() {
  static const nanoseconds cost = measure();
  return cost;
}

void WakeCost::woke_late(nanoseconds sleep, nanoseconds late) {
  nanoseconds& median = medians_[class_of(sleep)];
  if (late < nanoseconds(0) || late > 4 * median) {
    return;
  }
  const nanoseconds step = std::max(median / 16, nanoseconds(1));
  median = std::clamp(late > median ? median + step : median - step, measured_ / 4, 4 * measured_);
}

std::size_t WakeCost::class_of(nanoseconds sleep) {
  constexpr std::array<nanoseconds, 2> kLimits = {std::chrono::microseconds(250),
                                                  std::chrono::milliseconds(2)};
  return static_cast<std::size_t>(std::upper_bound(kLimits.begin(), kLimits.end(), sleep) -
                                  kLimits.begin());
}

}  // namespace coaio::internal
