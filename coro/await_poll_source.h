// AwaitablePollSource and poll_source: wait for readiness that can be seen in memory.
//
//   class Inbox final : public AwaitablePollSource {
//     bool ready() override { return !messages_.empty(); }
//     ...
//   };
//
//   const ScopedPollSource added(context, inbox);
//   while ((co_await poll_source(inbox)).ok()) { ... }   // take all messages
//
// An AwaitablePollSource is a PollSource (doorbell, poll_begin(), poll_end()) whose on_ready()
// resumes the task that waits for it. The loop does not call ready() while no task waits. A task
// should take everything after a wait; else the next wait ends at once. One task at a time waits
// for a source; a second one is a checked error.
//
// May complete without suspending? Yes: when the source is ready already, or when the task was
//   cancelled before.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home: inside the turn that found the source ready, or through the
//   run queue after a cancellation.
// What must outlive what? The source outlives the wait, and stays added to the task's home
//   meanwhile. Its removal during a wait is a checked error.

#ifndef COAIO_CORO_AWAIT_POLL_SOURCE_H_
#define COAIO_CORO_AWAIT_POLL_SOURCE_H_

#include "absl/status/status.h"
#include "coro/awaitable.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/call_kind.h"
#include "runtime/poll_source.h"

namespace coaio {

class AwaitablePollSource : public PollSource {
 public:
  class Wait;  // the result of poll_source()

  AwaitablePollSource() : AwaitablePollSource(-1) {}
  // The same parameters as PollSource.
  explicit AwaitablePollSource(int doorbell, const char* name = nullptr)
      : PollSource(doorbell, name, internal::CallKind::kTaskAfterSource) {}
  ~AwaitablePollSource() override;

  // Whether the source is ready. Reads memory only, like PollSource::poll().
  virtual bool ready() = 0;

  bool poll() final { return waiter_ != nullptr && ready(); }
  void on_ready() final;
  void on_remove() final {
    internal::check(waiter_ == nullptr,
                    "a poll source is removed while a task waits for it: end the task before");
  }

 private:
  Wait* waiter_ = nullptr;
};

class AwaitablePollSource::Wait : public AwaitableOperation<AwaitablePollSource::Wait> {
 public:
  explicit Wait(AwaitablePollSource& source) : source_(source) {}
  ~Wait() { leave(); }

  absl::Status await_resume() const;

 private:
  friend class AwaitablePollSource;
  friend class AwaitableOperation<Wait>;
  friend class Awaitable<Wait>;

  bool suspend(PromiseBase& task);
  void withdraw();
  void leave();

  AwaitablePollSource& source_;
};

[[nodiscard]] inline AwaitablePollSource::Wait poll_source(AwaitablePollSource& source) {
  return AwaitablePollSource::Wait(source);
}

}  // namespace coaio

#endif  // COAIO_CORO_AWAIT_POLL_SOURCE_H_
