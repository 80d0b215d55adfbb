// CancelSource and CancelToken: requests that tasks end.
//
//   CancelSource source(context);
//   std::thread other([&] { ...; source.request_cancel(); });
//   absl::Status status = run(context, serve(), source.token());   // serve() and what it awaits
//
//   TaskGroup group(TaskEnv{context, source.token()});             // or the tasks of a group
//
// A request does not interrupt code. An operation that waits is withdrawn and completes with
// kCancelled. An operation that begins later completes with kCancelled at once. If a deadline of
// the task caused the request, the status is kDeadlineExceeded instead, and every "kCancelled" in
// the other headers includes this case. The task decides what to do with the status. A task gets
// its token from the task that awaits it, from the group into which it is spawned, or from run();
// tokens are not passed by hand. A task that wants to cancel a part of its own work spawns that
// part into a TaskGroup, and calls TaskGroup::cancel().
//
// An operation on a socket also completes with kCancelled when the owner of the socket closes it. A
// task tells the two causes apart by its token:
//
//   const TaskEnv here = co_await this_task();
//   if (absl::IsCancelled(status) && !here.token.cancel_requested()) ...   // the socket was closed
//
// Threads: a source belongs to one context. Any thread may call request_cancel(), request(),
//   cancel_requested(), cause() and deadline(); only the home thread calls the other functions.
// Lifetime: a source outlives the tasks that hold its token. The destructor checks this for
//   operations under way and for groups. A TaskGroup contains its own source.

#ifndef COAIO_CORO_CANCEL_H_
#define COAIO_CORO_CANCEL_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "runtime/call_kind.h"
#include "runtime/context.h"
#include "runtime/intrusive_list.h"
#include "runtime/run_queue.h"
#include "runtime/time/clock.h"

namespace coaio {

class CancelSource;

// Why a task is to end. The first cause counts.
enum class CancelCause : std::uint8_t { kNone, kCancelled, kDeadline };

// An operation that can be cancelled. The callback withdraws the operation, and must not run user
// code.
class CancelNode : private internal::ListNode {
 public:
  using Cancel = void (*)(CancelNode&);

  explicit CancelNode(Cancel cancel) : cancel_(cancel) {}
  ~CancelNode() { unlink(); }

  // For an operation that has completed.
  using internal::ListNode::unlink;

  bool listed() const { return linked(); }

 private:
  friend class CancelSource;
  friend class internal::IntrusiveList<CancelNode>;

  Cancel cancel_;
};

// Tells a task whether its end was requested. A default-constructed token is never cancelled.
class CancelToken {
 public:
  CancelToken() = default;
  explicit CancelToken(CancelSource& source) : source_(&source) {}

  bool cancel_requested() const;

  // TimePoint::max() if there is none.
  TimePoint deadline() const;

  // Null for a default-constructed token.
  CancelSource* source() const { return source_; }

 private:
  CancelSource* source_ = nullptr;
};

class CancelSource : private internal::RunNode {
 public:
  explicit CancelSource(Context& context)
      : internal::RunNode(&CancelSource::deliver, internal::CallKind::kCancellation),
        context_(context) {}
  ~CancelSource();

  CancelToken token() { return CancelToken(*this); }
  Context& context() const { return context_; }

  // Any thread. Later calls do nothing. In a forked child no operation is withdrawn.
  void request_cancel() { request(CancelCause::kCancelled); }

  // The same for a given cause, which is not kNone. True for the first call, whose cause counts.
  bool request(CancelCause cause);

  bool cancel_requested() const { return cause() != CancelCause::kNone; }
  CancelCause cause() const {
    // Acquire: pairs with the release in request().
    return cause_.load(std::memory_order_acquire);
  }

  // The deadline that tasks with this source have. The owner of the source keeps the timer that
  // requests kDeadline at that time. Relaxed: a time is a number, and publishes nothing else.
  TimePoint deadline() const { return deadline_.load(std::memory_order_relaxed); }
  void set_deadline(TimePoint deadline) { deadline_.store(deadline, std::memory_order_relaxed); }

  // Copies the deadline of `parent`, and its request if there was one. For a new source, on the
  // home thread of that source.
  void inherit(const CancelSource& parent);

  // Lists an operation, so that a request withdraws it. The caller has found that
  // cancel_requested() is false.
  void add(CancelNode& node) { nodes_.push_back(node); }

  // Takes the request back, so that the source can be used for new tasks. On the home thread, which
  // has made the request itself, while no operation is listed. Another thread that has made the
  // request may not have queued its delivery yet.
  void renew();

 private:
  static void deliver(internal::RunNode& node);

  Context& context_;
  std::atomic<CancelCause> cause_{CancelCause::kNone};
  std::atomic<TimePoint> deadline_{TimePoint::max()};
  internal::IntrusiveList<CancelNode> nodes_;
};

inline bool CancelToken::cancel_requested() const {
  return source_ != nullptr && source_->cancel_requested();
}

inline TimePoint CancelToken::deadline() const {
  return source_ == nullptr ? TimePoint::max() : source_->deadline();
}

// The status of every operation that was cancelled. It has neither message nor payload, so that it
// never allocates; the head of this file shows how a task finds the cause.
inline absl::Status cancelled() { return absl::Status(absl::StatusCode::kCancelled, ""); }

// The same for an operation that the deadline of its task has ended.
inline absl::Status deadline_exceeded() {
  return absl::Status(absl::StatusCode::kDeadlineExceeded, "");
}

}  // namespace coaio

#endif  // COAIO_CORO_CANCEL_H_
