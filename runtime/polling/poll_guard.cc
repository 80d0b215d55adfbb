#include "runtime/polling/poll_guard.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>

#include "runtime/polling/poll_cap.h"
#include "runtime/polling/poll_environment.h"
#include "runtime/polling/poll_record.h"
#include "runtime/time/clock.h"

namespace coaio::internal {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kPause = std::chrono::seconds(1);

// The other half is left for the work of the process.
constexpr double kShareOfQuota = 0.5;

// In a window. A loop that spins on a quiet system has 20 to 100 switches a second, most of them to
// kernel threads that take microseconds. So the switches prove little, and the lost time decides.
constexpr std::uint64_t kSwitchesOfACrowd = 2;
constexpr int kLostToACrowd = 4;  // one part of so many

// In a row. An event that comes soon after a poll may have missed it by chance; with a partner on
// the same CPU each event comes so.
constexpr unsigned kUnprovenPolls = 32;
constexpr nanoseconds kUnprovenTime = std::chrono::milliseconds(20);

// Contexts of this process that poll under a quota. Relaxed: each context adapts with its next
// poll.
std::atomic<int> g_users_of_quota{0};

}  // namespace

PollGuard::~PollGuard() {
  if (users_ != 0) {
    g_users_of_quota.fetch_sub(1, std::memory_order_relaxed);
  }
}

// --- before a poll ------------------------------------------------------------------------------

bool PollGuard::grants(TimePoint now, nanoseconds budget) {
  if (quota_ == 0 && is_enabled()) {
    read_environment();
  }
  if (now < paused_until_) {
    return false;
  }
  if (!share_.grants(now, budget)) {
    ++stats_.over_share;
    return false;
  }
  if (users_ != 0 && !quota_grants(now, budget)) {
    ++stats_.over_quota;
    return false;
  }
  return true;
}

// At the first poll, so that a context that never polls reads no file.
void PollGuard::read_environment() {
  quota_ = environment_.cpu_quota();
  if (std::isfinite(quota_)) {
    divide_quota(g_users_of_quota.fetch_add(1, std::memory_order_relaxed) + 1);
  }
  switches_ = environment_.calling_thread().involuntary_switches;
}

bool PollGuard::quota_grants(TimePoint now, nanoseconds budget) {
  if (const int users = g_users_of_quota.load(std::memory_order_relaxed); users != users_) {
    divide_quota(users);
  }
  return quota_share_.grants(now, budget);
}

void PollGuard::divide_quota(int users) {
  users_ = users;
  quota_share_.limit(kShareOfQuota * quota_ / users);
}

// --- during and after it ------------------------------------------------------------------------

void PollGuard::spend(TimePoint now, const PollRecord& poll) {
  share_.spend(poll.taken());
  quota_share_.spend(poll.taken());
  note(poll);
  noted_ = {};
  if (window_.polled >= kExamined && is_enabled()) {
    examine(now);
  }
}

void PollGuard::note(const PollRecord& poll) {
  window_.polled += poll.duration() - noted_.polled;
  window_.gaps += poll.gaps() - noted_.gaps;
  noted_ = {.polled = poll.duration(), .gaps = poll.gaps()};
}

bool PollGuard::uncontended(TimePoint now, const PollRecord& poll) {
  note(poll);
  if (is_enabled()) {
    examine(now);
  }
  return now >= paused_until_;
}

void PollGuard::examine(TimePoint now) {
  const std::uint64_t switches = environment_.calling_thread().involuntary_switches;
  // Fewer than before: the context has a new home thread.
  const bool crowd =
      switches >= switches_ + kSwitchesOfACrowd && window_.gaps * kLostToACrowd >= window_.polled;
  switches_ = switches;
  window_ = {};
  if (crowd) {
    pause(now, stats_.crowded);
  }
}

void PollGuard::record_outcome(TimePoint now, const PollRecord& poll, nanoseconds slept) {
  if (!poll.timed() || !is_enabled() || slept > poll.duration()) {
    return;
  }
  if (poll.found_by_polling()) {
    unproven_time_ = nanoseconds(0);
    unproven_polls_ = 0;
    return;
  }
  unproven_time_ += poll.duration();
  if (++unproven_polls_ < kUnprovenPolls && unproven_time_ < kUnprovenTime) {
    return;
  }
  unproven_time_ = nanoseconds(0);
  unproven_polls_ = 0;
  if (environment_.calling_thread().one_cpu) {
    pause(now, stats_.shared_cpu);
  }
}

void PollGuard::pause(TimePoint now, std::uint64_t& counter) {
  paused_until_ = now + kPause;
  ++counter;
}

}  // namespace coaio::internal
