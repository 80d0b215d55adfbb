// HomeThread: which thread a context belongs to, and whether that thread is still there.
//
// Threads: any. Who asks is_here() on the home thread gets the right answer, and so does everybody
// else.

#ifndef COAIO_RUNTIME_HOME_THREAD_H_
#define COAIO_RUNTIME_HOME_THREAD_H_

#include <atomic>
#include <memory>

namespace coaio {

class HomeThread {
 public:
  // One per thread, from its first claim() on. Its address names the thread for as long as anybody
  // remembers it, unlike a thread id or the address of a thread-local, which the next thread may
  // get.
  struct Identity {
    std::atomic<bool> ended{false};
  };

  // Makes the calling thread the home. False if another one is, or was.
  bool claim();

  // For a forked child: its thread is the home of nothing that its parent has left it, and gets
  // another identity with the next claim().
  static void leave_all() { t_current = &kNobody; }

  // Not inlined: a coroutine may resume on another thread, and a compiler that sees a thread-local
  // may keep its address across the suspension.
  [[gnu::noinline]] bool is_here() const { return is_here_now(); }

  // The same for functions that are themselves not inlined. Relaxed: only the thread itself can
  // find its own identity here.
  bool is_here_now() const { return home_.load(std::memory_order_relaxed) == t_current; }

  // Nobody has claimed it.
  bool is_free() const { return home_.load(std::memory_order_relaxed) == nullptr; }

  // The calling thread may do what only the home thread may: it is that thread, or there is none,
  // or that thread has ended.
  bool may_act() const { return is_here() || is_free() || has_ended(); }

 private:
  friend struct ThreadEnd;

  bool has_ended() const;

  // Of a thread that has claimed nothing: an identity that is no home, for null is the home of a
  // context that nobody has claimed.
  static const Identity kNobody;
  static constinit thread_local const Identity* t_current;

  std::atomic<const Identity*> home_{nullptr};
  std::shared_ptr<const Identity> keeper_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_HOME_THREAD_H_
