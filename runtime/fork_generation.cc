#include "runtime/fork_generation.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "backends/check.h"
#include "runtime/home_thread.h"

namespace coaio::internal {

constinit std::atomic<std::uint32_t> g_fork_generation{0};

void watch_forks() {
  static const int error = pthread_atfork(nullptr, nullptr, [] {
    g_fork_generation.fetch_add(1, std::memory_order_relaxed);
    HomeThread::leave_all();
  });
  check(error == 0, "no memory for the notice of a fork");
}

}  // namespace coaio::internal
