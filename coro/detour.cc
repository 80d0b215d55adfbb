#include "coro/detour.h"

#include <coroutine>
#include <exception>
#include <utility>

#include "coro/frame_memory.h"
#include "coro/promise.h"

namespace coaio::internal {

struct Detour::promise_type : FrameMemory {
  Detour get_return_object() noexcept {
    return Detour(std::coroutine_handle<promise_type>::from_promise(*this));
  }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept {
    struct Leave {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<promise_type> step) const noexcept {
        return step.promise().arrive(step.promise().object);
      }
      void await_resume() const noexcept {}
    };
    return Leave{};
  }
  void return_void() const noexcept {}
  void unhandled_exception() const noexcept { std::terminate(); }

  Arrive arrive = nullptr;
  void* object = nullptr;
};

Detour Detour::make() { co_return; }

Detour::~Detour() {
  if (task_ != nullptr) {
    end();
  }
  if (step_ != nullptr) {
    step_.destroy();
  }
}

void Detour::begin(PromiseBase& task, Arrive arrive, void* object) {
  Detour made = make();
  step_ = std::exchange(made.step_, nullptr);
  step_.promise().arrive = arrive;
  step_.promise().object = object;
  self_ = task.divert(step_);
  task_ = &task;
}

PromiseBase& Detour::end() {
  task_->divert(self_);
  return *std::exchange(task_, nullptr);
}

}  // namespace coaio::internal
