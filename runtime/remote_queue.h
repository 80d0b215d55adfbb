// RemoteQueue: the way into a RunQueue from other threads and from signal handlers.
//
// Nodes arrive in the order of pushing. If several threads push one node at the same time, the node
// has the place of the first push, which may still be in progress when the others return.
//
// Threads: push() anywhere, also in a signal handler; drain() on the home thread.

#ifndef COAIO_RUNTIME_REMOTE_QUEUE_H_
#define COAIO_RUNTIME_REMOTE_QUEUE_H_

#include <atomic>

#include "runtime/run_queue.h"

namespace coaio::internal {

class RemoteQueue {
 public:
  // True if the queue was empty. The caller must then wake the home thread if it sleeps: a caller
  // that finds the queue filled relies on the wake-up that the first caller is about to send.
  bool push(RunNode& node) {
    __builtin_prefetch(&head_, 1);  // fetch both cache lines of the home thread at once
    // Acquire and release: pairs with the exchange in drain(). A push that finds the flag set
    // relies on the coming run to see what the caller wrote before; one that finds it clear must
    // not reach for remote_next_ before drain() has read it.
    if (node.remote_.exchange(true, std::memory_order_acq_rel)) {
      return false;
    }
    // Relaxed: only a first guess for the exchange below.
    RunNode* head = head_.load(std::memory_order_relaxed);
    do {
      node.remote_next_ = head;
      // Release: publishes the node, and what its scheduler wrote, to drain(). Sequentially
      // consistent: pairs with empty_before_sleep(), for the look at the sleeper that follows.
    } while (!head_.compare_exchange_weak(head, &node, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }

  // Relaxed: a hint. What it misses is found by the next look, or by empty_before_sleep().
  bool empty() const { return head_.load(std::memory_order_relaxed) == nullptr; }

  // Asks for what was pushed last, which comes from another processor and takes its time.
  void fetch() {
    if (RunNode* last = head_.load(std::memory_order_relaxed); last != nullptr) {
      __builtin_prefetch(last, 1);
      __builtin_prefetch(&head_, 1);
    }
  }

  // For a loop that has announced its sleep. Sequentially consistent: pairs with push(), whose
  // caller looks at the announcement after that: of the two, one sees the other.
  bool empty_before_sleep() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

  // Moves all nodes to the home queue, in the order in which they were pushed.
  void drain(RunQueue& home) {
    RunNode* last = head_.load(std::memory_order_relaxed);
    if (last == nullptr) {
      return;
    }
    __builtin_prefetch(last, 1);  // while the head comes
    // Acquire: pairs with the release in push().
    RunNode* node = reversed(head_.exchange(nullptr, std::memory_order_acquire));
    while (node != nullptr) {
      RunNode* next = node->remote_next_;
      // Release: from here the node may be pushed again, which writes remote_next_. Acquire: sees
      // what was written before a push that found the flag set.
      node->remote_.exchange(false, std::memory_order_acq_rel);
      home.push(*node);
      node = next;
    }
  }

 private:
  static RunNode* reversed(RunNode* node) {
    RunNode* result = nullptr;
    while (node != nullptr) {
      RunNode* next = node->remote_next_;
      node->remote_next_ = result;
      result = node;
      node = next;
    }
    return result;
  }

  std::atomic<RunNode*> head_{nullptr};
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_REMOTE_QUEUE_H_
