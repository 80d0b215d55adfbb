// SyncWaiter and WaiterQueue: tasks that wait for a synchronisation object. Private to coro/sync.
//
// A synchronisation object has one std::mutex. It guards the state of the object and its queue of
// waiters, and is held for a few instructions only. Under it each operation is decided, once:
//
//   granted     the object has taken the waiter out of its queue and has put the result into it.
//               That is the completion: a later request for cancellation changes nothing.
//   withdrawn   a request for cancellation has taken the waiter out of the queue, with nothing in
//               it.
//
// The thread that grants posts the task to the task's own context after it has released the mutex,
// and never runs the task inside its own call.
//
// Threads: a waiter is queued, withdrawn and resumed on the home thread of its task; it is granted
//   on any thread. All of it under the mutex, except ~GrantedWaiters().
// Lifetime: a waiter stands in the frame of its task, which stays suspended until the grant or the
//   withdrawal has been posted to the task's context.

#ifndef COAIO_CORO_SYNC_SYNC_WAITER_H_
#define COAIO_CORO_SYNC_SYNC_WAITER_H_

#include "coro/cancel.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/intrusive_list.h"

namespace coaio::internal {

// The place of a waiter in a queue: guarded by the mutex of the object.
class QueueNode : private ListNode {
 private:
  friend class IntrusiveList<QueueNode>;
  template <typename Waiter>
  friend class WaiterQueue;

  bool queued_ = false;
};

class SyncWaiter : protected Operation, public QueueNode {
 public:
  // Once for each grant, and not under the mutex: the task may run on its own thread at once, and
  // the waiter may be destroyed before this function returns.
  void resume_at_home() { context().schedule(task()); }

 protected:
  explicit SyncWaiter(CancelNode::Cancel withdraw) : Operation(withdraw) {}
  ~SyncWaiter() = default;

  // For await_resume(): the thread that granted could not remove the waiter from the list of
  // cancellable operations, which belongs to the home thread.
  void end_operation() { CancelNode::unlink(); }
};

// First in, first out.
template <typename Waiter>
class WaiterQueue {
 public:
  bool empty() const { return waiters_.empty(); }

  // Null if the queue is empty.
  Waiter* front() const { return static_cast<Waiter*>(waiters_.front()); }

  void push(QueueNode& waiter) {
    waiter.queued_ = true;
    waiters_.push_back(waiter);
  }

  // Null if the queue is empty. The caller grants the waiter, or pushes it to another queue.
  Waiter* pop() {
    QueueNode* const waiter = waiters_.pop_front();
    if (waiter != nullptr) {
      waiter->queued_ = false;
    }
    return static_cast<Waiter*>(waiter);
  }

  // False if the waiter is in no queue, which means that it was granted before.
  static bool remove(QueueNode& waiter) {
    if (!waiter.queued_) {
      return false;
    }
    waiter.queued_ = false;
    waiter.unlink();
    return true;
  }

 private:
  IntrusiveList<QueueNode> waiters_;
};

// Waiters that were granted under the mutex. The destructor resumes their tasks, in the order of
// the grants: declare it before the lock, so that it runs after the mutex is released.
class GrantedWaiters {
 public:
  GrantedWaiters() = default;
  GrantedWaiters(const GrantedWaiters&) = delete;
  GrantedWaiters& operator=(const GrantedWaiters&) = delete;
  ~GrantedWaiters() {
    while (QueueNode* waiter = waiters_.pop_front()) {
      static_cast<SyncWaiter*>(waiter)->resume_at_home();
    }
  }

  void add(SyncWaiter& waiter) { waiters_.push_back(waiter); }

 private:
  IntrusiveList<QueueNode> waiters_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_SYNC_SYNC_WAITER_H_
