#include "runtime/polling/wait_histogram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coaio::internal {
namespace {

// One wait, before it fades.
constexpr std::uint32_t kWait = 1024;
// What every bucket holds before the first wait: half a wait, spread evenly. Without it no budget
// would be longer than the longest wait seen.
constexpr std::uint32_t kPrior = kWait / 2 / 40;

constexpr std::uint32_t kWaitsPerFading = 8;  // then all counts lose a quarter
constexpr std::uint32_t kExplorationWeight = 8;
constexpr std::uint8_t kExploredWaits = 2;
constexpr std::uint16_t kFirstInterval = 64;
constexpr std::uint16_t kLastInterval = 1024;
constexpr std::uint16_t kLastPause = 4096;
constexpr std::uint8_t kHitsThatEndAPause = 2;
constexpr std::int64_t kLongestBudget = 4;  // in miss costs
constexpr std::int64_t kMostEarned = 4;     // in miss costs
constexpr std::int64_t kMostLost = 8;       // in miss costs

// Four buckets per octave, from 1,024 ns on. Bucket i holds the waits up to kEdges[i]; the last
// bucket holds all longer ones too.
constexpr std::int64_t kFirstEdge = 1024;
constexpr std::array<std::int64_t, 40> kEdges = [] {
  std::array<std::int64_t, 40> edges{};
  for (std::size_t i = 0; i < edges.size(); ++i) {
    edges[i] = (kFirstEdge << (i / 4)) / 4 * (5 + static_cast<std::int64_t>(i % 4));
  }
  return edges;
}();

// The two bits after the highest one number the bucket within its octave.
std::size_t bucket_of(std::int64_t ns) {
  const std::int64_t within = std::clamp<std::int64_t>(ns - 1, kFirstEdge, kEdges.back() - 1);
  const int octave = std::bit_width(static_cast<std::uint64_t>(within / kFirstEdge)) - 1;
  const std::int64_t quarter = within / (kFirstEdge / 4) >> octave;
  return static_cast<std::size_t>(octave) * 4 + static_cast<std::size_t>(quarter - 4);
}

// With a higher cost every budget up to the last bucket would be worth polling, and sums of costs
// would not fit into 64 bits.
constexpr std::int64_t kMostMissCost = 1'000'000'000;

std::int64_t miss_cost_of(std::int64_t weight, std::int64_t wake_cost_ns) {
  return wake_cost_ns > 0 && weight > kMostMissCost / wake_cost_ns ? kMostMissCost
                                                                   : weight * wake_cost_ns;
}

}  // namespace

WaitHistogram::WaitHistogram(std::uint32_t latency_weight, std::chrono::nanoseconds wake_cost)
    : weight_(latency_weight),
      wake_cost_ns_(wake_cost.count()),
      miss_cost_ns_(miss_cost_of(weight_, wake_cost_ns_)),
      // Ski rental, until something is known: at most twice the cost of hindsight.
      model_ns_(miss_cost_ns_),
      next_ns_(miss_cost_ns_) {}

// --- observations -------------------------------------------------------------------------------

void WaitHistogram::hit(std::chrono::nanoseconds after) {
  const std::int64_t ns = after.count();
  const bool against_the_model = exploring() && ns > model_ns_;
  count(ns, against_the_model ? kExplorationWeight : 1);
  if (against_the_model) {
    exploration_.interval = kFirstInterval;
  }
  // In a pause the model is not asked, and may have been right, so it is no condition here. An
  // event that was there at once says nothing about polling.
  if (exploring() && guard_.left != 0 && ns != 0) {
    end_pause_after_hits();
  }
  earn(miss_cost_ns_ - ns);
  advance();
}

void WaitHistogram::end_pause_after_hits() {
  exploration_.interval = kFirstInterval;
  if (++guard_.hits == kHitsThatEndAPause) {
    guard_ = Guard{};
  }
}

void WaitHistogram::missed(std::chrono::nanoseconds polled, std::chrono::nanoseconds after) {
  count(after.count(), 1);
  pay(polled);
  advance();
}

// A wait that is shorter than a poll says nothing about events. A longer one counts as a wait that
// no budget covers, or a context with nothing but timers would poll before each timer.
void WaitHistogram::silent(std::chrono::nanoseconds polled, std::chrono::nanoseconds waited) {
  if (waited.count() < miss_cost_ns_) {
    return;
  }
  counts_.back() += kWait;
  pay(polled);
  advance();
}

void WaitHistogram::set_wake_cost(std::chrono::nanoseconds wake_cost) {
  wake_cost_ns_ = wake_cost.count();
  miss_cost_ns_ = miss_cost_of(weight_, wake_cost_ns_);
}

void WaitHistogram::set_longest(std::chrono::nanoseconds longest) {
  longest_ns_ = longest.count();
  model_ns_ = std::min(model_ns_, longest_ns_);
  next_ns_ = std::min(next_ns_, longest_ns_);
}

void WaitHistogram::pay(std::chrono::nanoseconds polled_in_vain) {
  if (polled_in_vain.count() != 0 && exploring()) {
    exploration_.interval = std::min<std::uint16_t>(exploration_.interval * 2, kLastInterval);
  } else if (polled_in_vain.count() != 0) {
    earn(-polled_in_vain.count());
  }
}

void WaitHistogram::count(std::int64_t wait_ns, std::uint32_t weight) {
  counts_[bucket_of(wait_ns)] += kWait * weight;
}

void WaitHistogram::earn(std::int64_t ns) {
  guard_.account = std::min(guard_.account + ns, kMostEarned * miss_cost_ns_);
  if (guard_.account < -kMostLost * miss_cost_ns_) {
    guard_ = {.account = 0,
              .pause = std::min<std::uint16_t>(guard_.pause * 2, kLastPause),
              .left = guard_.pause,
              .hits = 0};
  }
}

// --- decisions ----------------------------------------------------------------------------------

void WaitHistogram::advance() {
  ++waits_;
  if (waits_ < kWaitsPerFading || waits_ % kWaitsPerFading == 0) {
    recompute();
  }
  if (guard_.left != 0) {
    --guard_.left;
  }
  decide();
}

void WaitHistogram::decide() {
  next_ns_ = guard_.left != 0 ? 0 : model_ns_;
  if (next_ns_ >= explored_ns()) {
    exploration_.left = 0;
    return;  // there is nothing to explore below
  }
  if (exploration_.left != 0) {
    --exploration_.left;
  } else if (--exploration_.countdown == 0) {
    exploration_.countdown = exploration_.interval;
    exploration_.left = kExploredWaits;
  }
  if (exploration_.left != 0) {
    next_ns_ = explored_ns();
  }
}

void WaitHistogram::recompute() {
  model_ns_ = cheapest_budget();
  if (waits_ % kWaitsPerFading == 0) {
    for (std::uint32_t& count : counts_) {
      count -= count / 4;
    }
  }
}

// Goes through the edges. A wait that ended before the edge costs its own length; each other wait
// costs the edge and a miss.
std::int64_t WaitHistogram::cheapest_budget() const {
  std::int64_t rest = kPrior * kBuckets;
  for (const std::uint32_t count : counts_) {
    rest += count;
  }
  const std::int64_t cost_of_blocking = rest * miss_cost_ns_;
  std::int64_t best = 0;
  std::int64_t best_cost = cost_of_blocking - cost_of_blocking / 32;  // worth it from 3 % on
  std::int64_t found_cost = 0;
  std::int64_t lower = 0;
  const std::int64_t longest = std::min(kLongestBudget * miss_cost_ns_, longest_ns_);
  for (std::size_t i = 0; i < kBuckets - 1 && kEdges[i] <= longest; ++i) {
    const std::int64_t weight = counts_[i] + kPrior;
    rest -= weight;
    found_cost += weight * ((lower + kEdges[i]) / 2);
    const std::int64_t cost = found_cost + rest * (kEdges[i] + miss_cost_ns_);
    // Without a branch: no processor could predict it.
    best = cost < best_cost ? kEdges[i] : best;
    best_cost = std::min(cost, best_cost);
    lower = kEdges[i];
  }
  return best;
}

}  // namespace coaio::internal
