// ContextPool: contexts with a thread each, for programs that use more than one CPU.
//
//   absl::StatusOr<ContextPool> pool = ContextPool::start({.pin = true});   // one for each CPU
//   if (!pool.ok()) return pool.status();
//   co_await resume_on(pool->next());                    // one after the other
//   co_await resume_on(pool->by_key(user_id));           // always the same for the same key
//
// Tasks stay on the context where they are: the pool does not balance.
//
// Threads: start(), stop() and the destructor on any thread that is not of the pool; next(),
//   by_key() and operator[] on any thread.
// Lifetime: the objects and tasks that use the contexts end before stop(), as for ContextThread.
//   The destructor stops all threads before it destroys the first context.
// Fork: in a forked child the object does nothing, and neither does its destructor.
// Errors: start() fails where ContextThread::start() fails, for the first thread that does; the
//   others are stopped then.

#ifndef COAIO_RUNTIME_CONTEXT_POOL_H_
#define COAIO_RUNTIME_CONTEXT_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/context.h"
#include "runtime/context_thread.h"

namespace coaio {

struct ContextPoolOptions {
  // How many contexts. 0: one for each CPU on which the calling thread may run.
  std::size_t size = 0;

  // Whether each thread runs on one CPU only. Thread i runs on CPU i modulo n of the n CPUs on
  // which the calling thread may run.
  bool pin = false;

  // The threads are called name/0, name/1, ...
  std::string name = "coaio";

  ContextOptions context = {};
};

class ContextPool {
 public:
  static absl::StatusOr<ContextPool> start(const ContextPoolOptions& options = {});

  ContextPool(ContextPool&&) noexcept = default;
  ContextPool& operator=(ContextPool&& other) noexcept;
  ~ContextPool();

  std::size_t size() const { return threads_.size(); }
  Context& operator[](std::size_t index) const { return threads_[index].context(); }

  // The contexts in turn, one after the other, over the calls of all threads.
  Context& next() const;

  // The same context for the same key, for as long as the pool lives. Keys that differ in few bits
  // are spread as well.
  Context& by_key(std::uint64_t key) const;

  // Asks all loops to end, and returns when all threads have ended. Later calls do nothing.
  void stop();

 private:
  explicit ContextPool(std::vector<ContextThread> threads);

  std::vector<ContextThread> threads_;
  std::unique_ptr<std::atomic<std::size_t>> turn_;  // of next()
};

// The CPUs on which the calling thread may run, in ascending order.
std::vector<int> usable_cpus();

}  // namespace coaio

#endif  // COAIO_RUNTIME_CONTEXT_POOL_H_
