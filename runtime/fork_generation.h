// fork_generation: tells a process from the one that forked it.
//
// A context cannot be used in a forked child: its descriptors and rings are shared with the parent,
// and its home thread may not exist. A context stores the generation in which it was made, and
// compares it with the current one.
//
// Threads: any; also in signal handlers.

#ifndef COAIO_RUNTIME_FORK_GENERATION_H_
#define COAIO_RUNTIME_FORK_GENERATION_H_

#include <atomic>
#include <cstdint>

namespace coaio::internal {

// Begins to count forks; once is enough.
void watch_forks();

extern std::atomic<std::uint32_t> g_fork_generation;

// Relaxed: it changes in a child before that has a second thread.
inline std::uint32_t fork_generation() { return g_fork_generation.load(std::memory_order_relaxed); }

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_FORK_GENERATION_H_
