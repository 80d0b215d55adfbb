// In the steady state no verb of a monitor allocates.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "doctest/doctest.h"
#include "tests/support/allocations.h"
#include "tests/support/back_ends.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

constexpr int kRounds = 50;

// Rounds of arming, wanting, waiting and disarming over four descriptors with data.
void turn(FdMonitor& monitor, const std::vector<Pair>& pairs, Trigger trigger,
          std::uint32_t generation, std::vector<FdEvent>& ready) {
  for (std::uint32_t slot = 0; slot < pairs.size(); ++slot) {
    monitor.arm(pairs[slot].a.get(), {slot, generation}, Events::kIn, trigger);
    monitor.want({slot, generation}, Events::kIn);
  }
  for (int i = 0; i < 3; ++i) {
    ready.clear();
    if (!monitor.wait(std::chrono::nanoseconds(0), ready).ok()) {
      std::abort();
    }
    for (const FdEvent& one : ready) {
      monitor.want(one.key, Events::kIn);
    }
  }
  for (std::uint32_t slot = 0; slot < pairs.size(); slot += 2) {
    monitor.disarm({slot, generation});
  }
}

TEST_CASE("an allocation is counted") {
  // A call by name, because a compiler may remove a `new` expression whose memory is freed.
  const std::size_t before = allocations_so_far();
  operator delete(operator new(100));
  CHECK(allocations_so_far() > before);
}

TEST_CASE("no verb allocates once the tables have grown") {
  on_every_back_end([](FdMonitor& monitor) {
    if (monitor.name() == "fake") {
      return;
    }
    std::vector<Pair> pairs;
    for (int i = 0; i < 4; ++i) {
      pairs.push_back(make_unix_pair());
      write_all(pairs.back().b, "x");
    }
    std::vector<FdEvent> ready;
    ready.reserve(64);
    std::uint32_t generation = 0;
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge}) {
      turn(monitor, pairs, trigger, ++generation, ready);
      turn(monitor, pairs, trigger, ++generation, ready);
      const std::size_t before = allocations_so_far();
      for (int i = 0; i < kRounds; ++i) {
        turn(monitor, pairs, trigger, ++generation, ready);
      }
      const std::size_t made = allocations_so_far() - before;
      CHECK(made == 0);
    }
  });
}

}  // namespace
}  // namespace coaio::testing
