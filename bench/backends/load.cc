#include "bench/backends/load.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "backends/check.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "bench/backends/contender.h"

namespace coaio::bench {

using namespace internal;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kSample{4};

UniqueFd make_eventfd(unsigned value) {
  UniqueFd event(eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK));
  check(event.valid(), "no descriptor is left for the benchmark");
  return event;
}

double nanoseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::nano>(duration).count();
}

// What reading the clock twice adds to each measured stretch.
Clock::duration clock_cost() {
  static const Clock::duration cost = [] {
    Clock::duration least = std::chrono::seconds(1);
    for (int i = 0; i < 1000; ++i) {
      const auto begin = Clock::now();
      least = std::min(least, Clock::now() - begin);
    }
    return least;
  }();
  return cost;
}

}  // namespace

void allow_descriptors(std::size_t count) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, count));
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < count) {
    std::fprintf(stderr, "raise RLIMIT_NOFILE (ulimit -n) to %zu\n", count);
    std::exit(1);
  }
}

int idle_descriptor(std::size_t index) {
  static std::vector<UniqueFd>& pool = *new std::vector<UniqueFd>;
  while (pool.size() <= index) {
    pool.push_back(make_eventfd(0));
  }
  return pool[index].get();
}

Load::Load(std::unique_ptr<Contender> contender, Trigger trigger, std::size_t idle,
           std::size_t active)
    : contender_(std::move(contender)), trigger_(trigger), extra_(make_eventfd(0)) {
  for (std::size_t i = 0; i < idle; ++i) {
    contender_->watch(idle_descriptor(i));
  }
  pair();  // the kernel knows them all
  for (std::size_t i = 0; i < active; ++i) {
    contender_->watch(active_.emplace_back(make_eventfd(1)).get());
  }
  for (int i = 0; i < 3; ++i) {  // buffers have grown
    turn();
  }
}

double Load::nanoseconds_per_turn() {
  Clock::duration measured{0};
  std::size_t turns = 0;
  for (; turns < 5 || measured < kSample; ++turns) {
    make_ready();
    const auto begin = Clock::now();
    wait_for_all();
    measured += Clock::now() - begin - clock_cost();
  }
  return nanoseconds(measured) / static_cast<double>(turns);
}

double Load::nanoseconds_per_pair() {
  constexpr std::size_t kBatch = 16;
  const auto begin = Clock::now();
  std::size_t pairs = 0;
  for (; Clock::now() - begin < kSample; pairs += kBatch) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      pair();
    }
  }
  return nanoseconds(Clock::now() - begin) / static_cast<double>(pairs);
}

void Load::turn() {
  make_ready();
  wait_for_all();
}

// The active descriptors are never read, so only an edge needs something new.
void Load::make_ready() {
  if (trigger_ == Trigger::kEdge) {
    for (const UniqueFd& active : active_) {
      eventfd_write(active.get(), 1);
    }
  }
}

void Load::wait_for_all() {
  for (std::size_t seen = 0; seen < active_.size();) {
    seen += contender_->wait();
  }
}

}  // namespace coaio::bench
