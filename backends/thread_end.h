// ThreadEnd: a call that a thread makes when it ends. Private to the back ends.
//
// A thread makes the call after the destructors of its thread-locals, which may still use the
// object. The main thread makes it after pthread_exit(3) only, and not in exit(3).
//
// Threads: attach() belongs to one thread, at most once. Any thread may call detach().

#ifndef COAIO_BACKENDS_THREAD_END_H_
#define COAIO_BACKENDS_THREAD_END_H_

#include <functional>
#include <memory>
#include <utility>

namespace coaio::internal {

class ThreadEnd {
 public:
  explicit ThreadEnd(std::function<void()> call) : call_(std::move(call)) {}
  ThreadEnd(const ThreadEnd&) = delete;
  ThreadEnd& operator=(const ThreadEnd&) = delete;
  ~ThreadEnd() { detach(); }

  // The calling thread makes the call when it ends. Allocates. Makes no call in a process that has
  // no thread-specific key left (PTHREAD_KEYS_MAX).
  void attach();

  // The call is not made after this function has returned. Waits while the thread makes the call.
  void detach();

 private:
  struct Calls;

  static void end(void* calls);

  const std::function<void()> call_;
  std::shared_ptr<Calls> calls_;  // of the thread that attach() ran on
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_THREAD_END_H_
