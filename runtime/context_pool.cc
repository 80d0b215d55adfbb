#include "runtime/context_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "runtime/context.h"
#include "runtime/context_thread.h"

namespace coaio {

using namespace internal;

// The kernel refuses a set that is smaller than its own, whose size it does not tell.
std::vector<int> usable_cpus() {
  std::vector<int> cpus;
  for (int room = CPU_SETSIZE;; room *= 2) {
    cpu_set_t* const set = CPU_ALLOC(room);
    const std::size_t size = CPU_ALLOC_SIZE(room);
    const int result = sched_getaffinity(0, size, set);
    const bool too_small = result != 0 && errno == EINVAL && room < (1 << 20);
    for (int cpu = 0; result == 0 && cpu < room; ++cpu) {
      if (CPU_ISSET_S(cpu, size, set)) {
        cpus.push_back(cpu);
      }
    }
    CPU_FREE(set);
    if (!too_small) {
      return cpus;
    }
  }
}

absl::StatusOr<ContextPool> ContextPool::start(const ContextPoolOptions& options) {
  const std::vector<int> cpus = usable_cpus();
  const std::size_t size = options.size != 0 ? options.size : std::max<std::size_t>(cpus.size(), 1);
  std::vector<ContextThread> threads;
  threads.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    ThreadOptions thread{.name = absl::StrCat(options.name, "/", i), .cpu = {}};
    if (options.pin && !cpus.empty()) {
      thread.cpu = cpus[i % cpus.size()];
    }
    absl::StatusOr<ContextThread> started = ContextThread::start(options.context, thread);
    if (!started.ok()) {
      return started.status();
    }
    threads.push_back(*std::move(started));
  }
  return ContextPool(std::move(threads));
}

ContextPool::ContextPool(std::vector<ContextThread> threads)
    : threads_(std::move(threads)), turn_(std::make_unique<std::atomic<std::size_t>>(0)) {}

ContextPool::~ContextPool() { stop(); }

ContextPool& ContextPool::operator=(ContextPool&& other) noexcept {
  stop();
  threads_ = std::move(other.threads_);
  turn_ = std::move(other.turn_);
  return *this;
}

Context& ContextPool::next() const {
  check(!threads_.empty(), "a context pool is used that was moved from");
  // Relaxed: only the number matters.
  return (*this)[turn_->fetch_add(1, std::memory_order_relaxed) % threads_.size()];
}

// Multiplied by 2^64 divided by the golden ratio, the upper half depends on all bits of the key.
Context& ContextPool::by_key(std::uint64_t key) const {
  check(!threads_.empty(), "a context pool is used that was moved from");
  const std::uint64_t mixed = (key * 0x9e3779b97f4a7c15u) >> 32;
  return (*this)[(mixed * threads_.size()) >> 32];
}

void ContextPool::stop() {
  for (ContextThread& thread : threads_) {
    thread.request_stop();
  }
  for (ContextThread& thread : threads_) {
    thread.stop();
  }
}

}  // namespace coaio
