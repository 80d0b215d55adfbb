// HomeThread: which thread a context belongs to, and whether that thread has ended.
//
// A thread ends here after its thread-locals: their destructors may still use its contexts. The
// main thread does not end by exit(), so the destructors of statics may do the same.
//
// Threads: any, at any time after the first claim(). is_here() is exact on every thread.

#ifndef COAIO_RUNTIME_HOME_THREAD_H_
#define COAIO_RUNTIME_HOME_THREAD_H_

#include <atomic>
#include <memory>

namespace coaio::internal {

class HomeThread {
 public:
  // One per thread, made by the thread's first claim(). Its address names the thread for as long as
  // any HomeThread refers to it. A thread id, or the address of a thread-local, could be reused by
  // the next thread.
  struct Identity {
    std::atomic<bool> ended{false};
    std::shared_ptr<Identity> self;  // until the thread ends
  };

  // Makes the calling thread the home. False if another thread is, or was.
  bool claim();

  // For a forked child: its thread is the home of no context of the parent, and gets a new identity
  // with its next claim().
  static void leave_all() { t_current = &kUnclaimed; }

  // Not inlined: a coroutine may resume on another thread, and a compiler that sees a thread-local
  // may keep its address across the suspension.
  [[gnu::noinline]] bool is_here() const { return is_here_now(); }

  // The same for functions that are themselves not inlined. Relaxed: only the thread itself can
  // find its own identity here.
  bool is_here_now() const { return home_.load(std::memory_order_relaxed) == t_current; }

  // No thread has claimed it.
  bool is_free() const { return home_.load(std::memory_order_relaxed) == nullptr; }

  // The thread that claimed it has ended. False if it is free.
  bool has_ended() const;

  // The calling thread may do what only the home thread may: it is that thread, or there is none,
  // or that thread has ended.
  bool may_act() const { return is_here() || is_free() || has_ended(); }

 private:
  static Identity& own_identity();
  static void end(void* identity);

  // The identity of a thread that has claimed nothing. It is not null, for null is the home of a
  // context that no thread has claimed.
  static const Identity kUnclaimed;

  // A plain pointer without a destructor: it can be read until the very end of the thread.
  static constinit thread_local const Identity* t_current;

  std::atomic<const Identity*> home_{nullptr};
  std::shared_ptr<const Identity> keeper_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_HOME_THREAD_H_
