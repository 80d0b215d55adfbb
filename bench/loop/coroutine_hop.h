// CoroutineHops: the floor of a bottom half: coroutines that go through a queue, and nothing else.
// Each queues itself, or is queued by the driver, as bottom halves are.

#ifndef COAIO_BENCH_LOOP_COROUTINE_HOP_H_
#define COAIO_BENCH_LOOP_COROUTINE_HOP_H_

#include <coroutine>
#include <cstddef>
#include <exception>
#include <vector>

namespace coaio::bench {

class CoroutineHops {
 public:
  enum class Queued { kByThemselves, kByOthers };

  CoroutineHops(int coroutines, Queued queued) {
    for (int i = 0; i < coroutines; ++i) {
      coroutines_.push_back(hop_for_ever(queued == Queued::kByThemselves ? &queue_ : nullptr).self);
    }
    if (queued == Queued::kByThemselves) {
      queue_all();
    }
  }
  CoroutineHops(const CoroutineHops&) = delete;
  CoroutineHops& operator=(const CoroutineHops&) = delete;
  ~CoroutineHops() {
    for (const Handle coroutine : coroutines_) {
      coroutine.destroy();
    }
  }

  void queue_all() {
    for (const Handle coroutine : coroutines_) {
      queue_.push(coroutine.promise());
    }
  }

  // Each coroutine once: out of the queue, resumed, and into the queue if it does that itself.
  void run_once() {
    for (std::size_t left = coroutines_.size(); left != 0; --left) {
      Handle::from_promise(queue_.pop()).resume();
    }
  }

 private:
  struct Promise;
  using Handle = std::coroutine_handle<Promise>;

  // Intrusive, in the order of queueing.
  struct Queue {
    void push(Promise& promise) {
      promise.next = nullptr;
      *last = &promise;
      last = &promise.next;
    }
    Promise& pop() {
      Promise& promise = *first;
      first = promise.next;
      if (first == nullptr) {
        last = &first;
      }
      return promise;
    }
    Promise* first = nullptr;
    Promise** last = &first;
  };

  struct Coroutine {
    using promise_type = Promise;
    Handle self;
  };

  struct Promise {
    Coroutine get_return_object() { return {Handle::from_promise(*this)}; }
    std::suspend_always initial_suspend() { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    Promise* next = nullptr;
  };

  struct Hop {
    bool await_ready() const noexcept { return false; }
    void await_suspend(Handle coroutine) const {
      if (queue != nullptr) {
        queue->push(coroutine.promise());
      }
    }
    void await_resume() const noexcept {}
    Queue* queue;
  };

  static Coroutine hop_for_ever(Queue* queue) {
    for (;;) {
      co_await Hop{queue};
    }
  }

  Queue queue_;
  std::vector<Handle> coroutines_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_LOOP_COROUTINE_HOP_H_
