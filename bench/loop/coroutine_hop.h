// CoroutineHops: the floor of a bottom half: coroutines that go through a queue, and nothing else.

#ifndef COAIO_BENCH_LOOP_COROUTINE_HOP_H_
#define COAIO_BENCH_LOOP_COROUTINE_HOP_H_

#include <coroutine>
#include <cstddef>
#include <exception>
#include <vector>

namespace coaio::bench {

class CoroutineHops {
 public:
  explicit CoroutineHops(int coroutines) {
    for (int i = 0; i < coroutines; ++i) {
      coroutines_.push_back(hop_for_ever(queue_).self);
    }
    run_once();
  }
  CoroutineHops(const CoroutineHops&) = delete;
  CoroutineHops& operator=(const CoroutineHops&) = delete;
  ~CoroutineHops() {
    for (const std::coroutine_handle<> coroutine : coroutines_) {
      coroutine.destroy();
    }
  }

  // Each coroutine once: out of the queue, resumed, into the queue.
  void run_once() {
    for (std::size_t left = coroutines_.size(); left != 0; --left) {
      Node* node = queue_.first;
      queue_.first = node->next;
      if (queue_.first == nullptr) {
        queue_.last = &queue_.first;
      }
      node->self.resume();
    }
  }

 private:
  struct Node {
    std::coroutine_handle<> self;
    Node* next = nullptr;
  };

  // Intrusive, in the order of queueing.
  struct Queue {
    void push(Node& node) {
      node.next = nullptr;
      *last = &node;
      last = &node.next;
    }
    Node* first = nullptr;
    Node** last = &first;
  };

  struct Coroutine {
    struct promise_type {
      Coroutine get_return_object() {
        return {std::coroutine_handle<promise_type>::from_promise(*this)};
      }
      std::suspend_never initial_suspend() { return {}; }
      std::suspend_always final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<> self;
  };

  struct Hop : Node {
    explicit Hop(Queue& q) : queue(q) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      self = coroutine;
      queue.push(*this);
    }
    void await_resume() const noexcept {}
    Queue& queue;
  };

  static Coroutine hop_for_ever(Queue& queue) {
    for (;;) {
      co_await Hop(queue);
    }
  }

  Queue queue_;
  std::vector<std::coroutine_handle<>> coroutines_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_LOOP_COROUTINE_HOP_H_
