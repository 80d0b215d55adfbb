// TaskGroup: tasks that run at the same time, and end together.
//
//   TaskGroup connections(co_await this_task());
//   connections.spawn(echo(std::move(stream)));
//   ...
//   absl::Status first_failure = co_await connections.join();
//
// A child that fails, by a status that is not OK or by an exception, cancels the others; join()
// waits for all of them and reports the first failure. Cancelling the task that owns the group
// cancels the children, and if that cut one short, join() reports kCancelled. A child that cancel()
// cut short is no failure. Nothing of the group runs after join().
//
// After join() the group may be used again. After a failure it is as new, so that an attempt can be
// repeated; after cancel(), also by cancel_after(), and after a cancellation of the owner, tasks
// that are spawned begin cancelled.
//
// join(): may complete without suspending? When no child is left. Observes cancellation? It passes
//   it on to the children, and waits for their ends. Resumes where? On the home of the group.
// Who must outlive whom? The group outlives its children: join() before it ends, which is checked.
//   An exception or a co_return between spawn() and join() ends the group too early as well.
// Threads: the home thread of the context; cancel() on any thread.

#ifndef COAIO_CORO_TASK_GROUP_H_
#define COAIO_CORO_TASK_GROUP_H_

#include <atomic>
#include <cstddef>
#include <exception>

#include "absl/status/status.h"
#include "coro/awaitable.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/task.h"
#include "coro/this_task.h"
#include "runtime/call_kind.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/duration.h"
#include "runtime/time/timer_queue.h"

namespace coaio {

class TaskGroup : private CancelNode {
 public:
  // Children run on the context of the task, and are cancelled with it.
  explicit TaskGroup(const TaskEnv& here);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Queues the task; it does not run inside this call. On the home thread of the group's context,
  // which is checked.
  void spawn(Task<void> task);
  void spawn(Task<absl::Status> task);

  // Asks all children to end, those that are spawned later included, also after a join(). On any
  // thread, while the group lives.
  void cancel() {
    cancelled_.store(true, std::memory_order_relaxed);  // read after join(), on the home thread
    source_.request_cancel();
  }

  // cancel() after this time, unless the group has been joined before. The time counts from this
  // call, whether or not there are children yet. A second call replaces the first.
  void cancel_after(Duration delay);

  // Ends the children with kDeadlineExceeded at this time, also those that are spawned later, until
  // the group is joined; join() then reports the same. The sooner of this deadline and of the
  // owner's counts. Another call, also of cancel_after(), replaces it; while no child is left, also
  // one that has passed.
  void set_deadline(TimePoint deadline);
  void set_timeout(Duration delay);

  std::size_t size() const { return size_; }
  Context& context() const { return source_.context(); }

  class Join : public Awaitable<Join>, private CancelNode {
   public:
    explicit Join(TaskGroup& group) : CancelNode(&Join::pass_on), group_(group) {}

    bool await_ready() const noexcept { return group_.size_ == 0; }
    absl::Status await_resume() { return group_.take_result(); }

   private:
    friend class Awaitable<Join>;

    void suspend(PromiseBase& joiner);
    static void pass_on(CancelNode& node);

    TaskGroup& group_;
    CancelSource* source_ = nullptr;  // the joiner's, if the group is not listed there
  };

  [[nodiscard]] Join join() { return Join(*this); }

 private:
  // Told of the end of each child of one type.
  template <typename T>
  struct Owner : internal::TaskOwner {
    explicit Owner(TaskGroup& g) : internal::TaskOwner(g.context(), &Owner::ended), group(g) {}
    static void ended(internal::TaskOwner& owner, PromiseBase& child);
    TaskGroup& group;
  };

  // Cancels when its time has come.
  struct Deadline : internal::TimerNode {
    explicit Deadline(TaskGroup& g)
        : internal::TimerNode(&Deadline::fire, internal::CallKind::kGroupDeadline), group(g) {}
    static void fire(internal::TimerNode& timer);
    TaskGroup& group;
    CancelCause cause = CancelCause::kCancelled;
  };

  template <typename T>
  void start(Task<T> task, Owner<T>& owner);
  bool failed() const;
  void fail(absl::Status status);
  void fail(std::exception_ptr exception);
  void check_home() const;
  void lift_deadline();
  void child_ended();
  void suspend(PromiseBase& joiner);
  absl::Status take_result();
  void pass_on_cause(CancelCause cause);
  static void pass_on(CancelNode& node);

  CancelSource source_;
  Owner<void> owner_of_void_;
  Owner<absl::Status> owner_of_status_;
  Deadline deadline_;
  CancelSource* upstream_;  // the owner's, or null
  std::size_t size_ = 0;
  PromiseBase* joiner_ = nullptr;
  bool owner_cancelled_ = false;
  std::atomic<bool> cancelled_{false};  // by cancel()
  absl::Status first_failure_;
  std::exception_ptr first_exception_;
};

}  // namespace coaio

#endif  // COAIO_CORO_TASK_GROUP_H_
