// TaskGroup: tasks that run at the same time, and are joined together.
//
//   TaskGroup connections(co_await this_task());
//   connections.spawn(echo(std::move(stream)));
//   connections.spawn([&log](int n) -> Task<void> { ... }, 3);   // kept until the child ends
//   ...
//   absl::Status first_failure = co_await connections.join();
//
// A child fails by a status that is not OK, or by an exception. The first failure cancels the other
// children. join() waits for all children, and then returns the status or throws the exception of
// the first failure. When join() returns, nothing of the group runs any more.
//
// - cancel() cancels the children; a child that ends with kCancelled then has not failed.
// - The group takes the cancel token of its TaskEnv. A request to this token cancels the children;
//   join() returns kCancelled if a child then ended with kCancelled.
// - The group can be used again after join(). A failure of earlier children does not affect later
//   children. A cancellation does: after cancel(), after the time of cancel_after() has passed, or
//   after a request to the token of the group, later children begin cancelled.
// - A failure that no join() has reported when the group is destroyed goes to the sink of the
//   context (Context::tell_sink).
//
// join(): may complete without suspending? Yes: when no child is left.
//   Observes cancellation? It passes a cancellation on to the children, and waits until they end.
//   Resumes where? On the home of the group.
// What must outlive what? The group outlives its children; the destructor checks this. So co_await
//   join() before every exit from the scope of the group, also before an exception or a co_return
//   leaves that scope. task_group() (coro/with_task_group.h) does this by itself. Pass a capturing
//   lambda to spawn() without calling the lambda: in `spawn([x] { ... }())` the lambda is destroyed
//   while the task still refers to its captures.
// Threads: the home thread of the context; any thread may call cancel().

#ifndef COAIO_CORO_TASK_GROUP_H_
#define COAIO_CORO_TASK_GROUP_H_

#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

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

namespace internal {

template <typename T>
concept ChildTask = std::same_as<T, Task<void>> || std::same_as<T, Task<absl::Status>>;

template <typename Make, typename... Args>
concept MakesChild = std::invocable<std::decay_t<Make>&, std::decay_t<Args>...> &&
                     ChildTask<std::invoke_result_t<std::decay_t<Make>&, std::decay_t<Args>...>>;

// The parameters of this coroutine are where a child keeps what its task refers to.
template <typename Make, typename... Args>
std::invoke_result_t<Make&, Args...> call_with_kept(Make make, Args... args) {
  auto task = std::invoke(make, std::move(args)...);
  co_return co_await std::move(task);
}

}  // namespace internal

class TaskGroup : private CancelNode {
 public:
  // Children run on the context of the task, and are cancelled with it.
  explicit TaskGroup(const TaskEnv& here);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Queues the task, and returns before the task runs. Only the home thread of the group's context
  // calls spawn(); spawn() checks this.
  void spawn(Task<void> task);
  void spawn(Task<absl::Status> task);

  // Spawns the task that make(args...) gives. The child keeps copies of the callable and of the
  // arguments until it ends, so that a lambda may capture, and its parameters may be references.
  // The arguments are moved into the call, as by std::thread; std::ref() passes a reference. The
  // call is made when the child begins; an exception that leaves it is the child's failure.
  template <typename Make, typename... Args>
    requires internal::MakesChild<Make, Args...>
  void spawn(Make&& make, Args&&... args) {
    spawn(internal::call_with_kept<std::decay_t<Make>, std::decay_t<Args>...>(
        std::forward<Make>(make), std::forward<Args>(args)...));
  }

  // Any thread. Requests the cancellation of all children, and of all children that are spawned
  // later, even after a join().
  void cancel() {
    cancelled_.store(true, std::memory_order_seq_cst);  // before the request: take_request_back()
    source_.request_cancel();
  }

  // Calls cancel() when `delay` has passed since this call, unless join() returns earlier. The
  // group need not have children yet. A second call replaces the first.
  void cancel_after(Duration delay);

  // At this time the operations of the children end with kDeadlineExceeded, and join() returns
  // kDeadlineExceeded. The deadline holds until join() returns, also for children that are spawned
  // after this call. If the token of the group has a deadline as well, the sooner deadline counts.
  // A later call of set_deadline(), set_timeout() or cancel_after() replaces the deadline. A
  // deadline that has passed can be replaced only while the group has no child.
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
  // The owner of all children with one type of result.
  template <typename T>
  struct Owner : internal::TaskOwner {
    explicit Owner(TaskGroup& g) : internal::TaskOwner(g.context(), &Owner::ended), group(g) {}
    static void ended(internal::TaskOwner& owner, PromiseBase& child);
    TaskGroup& group;
  };

  // The timer of cancel_after().
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
  void end_children(CancelCause cause) { requested_here_ |= source_.request(cause); }
  void take_request_back();
  void tell_failure();
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
  bool requested_here_ = false;         // a failure or the deadline has ended the children
  std::atomic<bool> cancelled_{false};  // by cancel()
  absl::Status first_failure_;
  std::exception_ptr first_exception_;
};

}  // namespace coaio

#endif  // COAIO_CORO_TASK_GROUP_H_
