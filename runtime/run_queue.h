// RunQueue: what the home thread runs next, in the order of queueing.
//
// A RunNode is the intrusive entry: a bottom half, or a task to resume. Queueing never allocates,
// and a node that is queued already keeps its place. The node has a kind, and may have a name, for
// the report of a Watchdog.
//
// Threads: a RunQueue belongs to the home thread; RemoteQueue is the way in from elsewhere.
// Lifetime: a node outlives its stay in the queue; remove() ends the stay. The queue does not touch
//   a node once its function has begun, so that a node may free itself.

#ifndef COAIO_RUNTIME_RUN_QUEUE_H_
#define COAIO_RUNTIME_RUN_QUEUE_H_

#include <atomic>

#include "runtime/call_kind.h"
#include "runtime/intrusive_list.h"

namespace coaio::internal {

class RunNode : private ListNode {
 public:
  using Run = void (*)(RunNode&);

  explicit RunNode(Run run, CallKind kind = CallKind::kOther) : run_(run), kind_(kind) {}

  bool queued() const { return linked(); }

  // What this node is, and its name; the name lives as long as the node.
  CallInfo info() const;

  // What the next run does.
  void set_function(Run run) { run_ = run; }
  Run function() const { return run_; }

 private:
  friend class RunQueue;
  friend class RemoteQueue;
  friend class NamedRunNode;
  friend class IntrusiveList<RunNode>;

  Run run_;
  RunNode* remote_next_ = nullptr;
  std::atomic<bool> remote_{false};  // is in the RemoteQueue
  CallKind kind_;
  bool named_ = false;  // is a NamedRunNode
};

// A node with a name, which outlives the node. Null: none.
class NamedRunNode : public RunNode {
 public:
  NamedRunNode(Run run, CallKind kind, const char* name) : RunNode(run, kind), name_(name) {
    named_ = true;
  }

 private:
  friend class RunNode;

  const char* name_;
};

inline CallInfo RunNode::info() const {
  return {.kind = kind_, .name = named_ ? static_cast<const NamedRunNode*>(this)->name_ : nullptr};
}

class RunQueue {
 public:
  bool empty() const { return batch_.empty() && later_.empty(); }

  void push(RunNode& node) {
    if (!node.queued()) {
      later_.push_back(node);
    }
  }

  static void remove(RunNode& node) { node.unlink(); }

  // What is queued now makes a batch, and what comes later does not belong to it. A nested turn
  // adds to the batch of the outer turn, and runs the rest of it.
  void begin_batch() { batch_.append(later_); }

  // Runs the oldest node of the batch. False if there is none left.
  bool run_one() {
    if (batch_.empty()) {
      return false;
    }
    run_next();
    return true;
  }

  // The same for a batch in which next() has found a node.
  void run_next() {
    RunNode& node = batch_.first();
    batch_.drop_first();
    node.run_(node);
  }

  // The node that run_one() would run, or null.
  const RunNode* next() const { return batch_.front(); }

  // For the owner's end: takes a node out without running it. Null when empty.
  RunNode* take() { return batch_.empty() ? later_.pop_front() : batch_.pop_front(); }

 private:
  IntrusiveList<RunNode> batch_;
  IntrusiveList<RunNode> later_;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_RUN_QUEUE_H_
