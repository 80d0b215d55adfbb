// SyncOperation, WaiterQueue and GrantedWaiters: tasks that wait for a synchronisation object.
// Private to coro/sync.
//
// A synchronisation object has one std::mutex, which guards the state of the object and its queue
// of waiters, and is held for a few instructions. Each operation is decided under the mutex, once:
//
//   granted     the object has taken the waiter out of the queue and has put the result into it.
//               The operation has succeeded; a later request for cancellation changes nothing.
//   withdrawn   a request for cancellation has taken the waiter out of the queue, without a result.
//
// The thread that grants releases the mutex, then posts the task to the task's own context, and
// never runs the task inside its own call.
//
// Threads: a waiter is queued, withdrawn and resumed on the home thread of its task. Any thread may
//   grant. The mutex of the object is held for all of it, except in ~GrantedWaiters().
// Lifetime: a waiter stands in the frame of its task, which stays suspended until the operation is
//   decided. After ~GrantedWaiters() has posted a task, the waiter and the object may be gone.

#ifndef COAIO_CORO_SYNC_SYNC_WAITER_H_
#define COAIO_CORO_SYNC_SYNC_WAITER_H_

#include <concepts>
#include <utility>

#include "backends/check.h"
#include "coro/awaitable.h"
#include "coro/cancel.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/intrusive_list.h"

namespace coaio::internal {

// The place of a waiter in a queue: guarded by the mutex of the object.
class QueueNode : private ListNode {
 protected:
  bool queued() const { return queued_; }

 private:
  friend class IntrusiveList<QueueNode>;
  template <typename Waiter>
  friend class WaiterQueue;

  bool queued_ = false;
};

class SyncWaiter : public Operation, public QueueNode {
 protected:
  using Operation::Operation;
  ~SyncWaiter() {
    check(!queued() || context().was_forked(),
          "a task is destroyed while it waits for a synchronisation object: let it end before");
  }

 private:
  friend class GrantedWaiters;
};

// What the operations of synchronisation objects have in common. Derived has two functions, which
// lock the mutex of the object:
//
//   bool take_or_wait();   // true: the operation has its result; false: the waiter was queued
//   bool leave();          // true: the waiter was withdrawn; false: it was granted before
//
// and an await_resume() that calls end_granted() first.
//
// Waiter is what stands in the queue of the object: SyncWaiter, or a class derived from it.
template <typename Derived, std::derived_from<SyncWaiter> Waiter = SyncWaiter>
class SyncOperation : public Waiter, public Awaitable<Derived> {
 protected:
  template <typename... Args>
  explicit SyncOperation(Args&&... args)
      : Waiter(&SyncOperation::cancel, std::forward<Args>(args)...) {}
  ~SyncOperation() = default;

 private:
  friend class Awaitable<Derived>;

  Derived& derived() { return static_cast<Derived&>(*this); }

  // A task that is granted meanwhile resumes after this call, because this is its home thread.
  bool suspend(PromiseBase& task) {
    if (!this->start(task) || derived().take_or_wait()) {
      return this->complete_at_once();
    }
    return true;
  }

  static void cancel(CancelNode& node) {
    auto& self = static_cast<SyncOperation&>(static_cast<Operation&>(node));
    if (self.derived().leave()) {
      self.complete_cancelled();
    }
  }
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
    if (waiter == nullptr) {
      return nullptr;
    }
    waiter->queued_ = false;
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

// Waiters that were granted under the mutex. The destructor posts their tasks, in the order of the
// grants. It is declared before the lock guard, so that it runs after the mutex was released.
class GrantedWaiters {
 public:
  GrantedWaiters() = default;
  GrantedWaiters(const GrantedWaiters&) = delete;
  GrantedWaiters& operator=(const GrantedWaiters&) = delete;
  ~GrantedWaiters() {
    while (QueueNode* waiter = waiters_.pop_front()) {
      static_cast<SyncWaiter*>(waiter)->schedule_granted();
    }
  }

  void add(SyncWaiter& waiter) { waiters_.push_back(waiter); }

 private:
  IntrusiveList<QueueNode> waiters_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_SYNC_SYNC_WAITER_H_
