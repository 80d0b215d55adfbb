// Detour: a step between the completion of an awaitable and the task that goes on. Private to coro.
//
// Between begin() and end() the task's promise names the detour's own small coroutine as what to
// resume. Awaitables need not know of it. The frame comes from FrameMemory: nothing is allocated in
// the steady state.
//
// Threads: begin() and end() at the task's home.

#ifndef COAIO_CORO_DETOUR_H_
#define COAIO_CORO_DETOUR_H_

#include <coroutine>

#include "coro/promise.h"

namespace coaio::internal {

class Detour {
 public:
  // Called when the task is resumed. Calls end(), and returns what to resume.
  using Arrive = std::coroutine_handle<> (*)(void* object);

  struct promise_type;

  Detour() = default;
  Detour(const Detour&) = delete;
  Detour& operator=(const Detour&) = delete;
  ~Detour();

  void begin(PromiseBase& task, Arrive arrive, void* object);

  // The task itself is what to resume from now on. Returns the task.
  PromiseBase& end();

 private:
  explicit Detour(std::coroutine_handle<promise_type> step) : step_(step) {}
  static Detour make();

  std::coroutine_handle<promise_type> step_;
  std::coroutine_handle<> self_;
  PromiseBase* task_ = nullptr;  // between begin() and end()
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_DETOUR_H_
