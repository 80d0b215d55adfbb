// RunQueue: what the home thread runs next, in the order of queueing.
//
// A RunNode is the intrusive entry: a bottom half, or a coroutine that is to be resumed. Queueing
// never allocates, and a node that is queued already stays where it is.
//
// Threads: a RunQueue belongs to the home thread; RemoteQueue is the way in from elsewhere.
// Lifetime: a node outlives its stay in the queue; remove() ends the stay. The queue does not touch
//   a node once its function has begun, so that a node may free itself.

#ifndef COAIO_RUNTIME_RUN_QUEUE_H_
#define COAIO_RUNTIME_RUN_QUEUE_H_

#include <atomic>
#include <cstdint>

#include "runtime/intrusive_list.h"

namespace coaio {

class RunNode : private ListNode {
 public:
  using Run = void (*)(RunNode&);

  explicit RunNode(Run run) : run_(run) {}

  bool queued() const { return linked(); }
  Run function() const { return run_; }

  // What the next run does.
  void set_function(Run run) { run_ = run; }

 private:
  friend class RunQueue;
  friend class RemoteQueue;
  friend class IntrusiveList<RunNode>;

  Run run_;
  RunNode* remote_next_ = nullptr;
  std::atomic<bool> remote_{false};  // is in the RemoteQueue
  std::uint32_t batch_ = 0;          // home thread only, as are the links
};

class RunQueue {
 public:
  // A point in the queue: what was queued before it.
  using Mark = std::uint32_t;

  bool empty() const { return nodes_.empty(); }

  void push(RunNode& node) {
    if (!node.queued()) {
      node.batch_ = batch_;
      nodes_.push_back(node);
    }
  }

  static void remove(RunNode& node) { node.unlink(); }

  Mark mark() { return batch_++; }

  // Runs the oldest node if it was queued before the mark. Whoever nests runs what outer callers
  // have marked but not yet run: they share one queue.
  bool run_one(Mark before) {
    if (nodes_.empty()) {
      return false;
    }
    RunNode& node = nodes_.first();
    if (static_cast<std::int32_t>(node.batch_ - before) > 0) {
      return false;
    }
    nodes_.drop_first();
    node.run_(node);
    return true;
  }

  // What run_one() would run. Null if nothing.
  const RunNode* next(Mark before) const {
    const RunNode* node = nodes_.front();
    return node != nullptr && static_cast<std::int32_t>(node->batch_ - before) <= 0 ? node
                                                                                    : nullptr;
  }

  // For the owner's end: takes a node out without running it. Null when empty.
  RunNode* take() { return nodes_.pop_front(); }

 private:
  IntrusiveList<RunNode> nodes_;
  std::uint32_t batch_ = 0;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_RUN_QUEUE_H_
