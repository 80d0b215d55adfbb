// AwaitablePollSource and poll_source: waiting for readiness that can be seen in memory.
//
//   class Inbox final : public AwaitablePollSource { bool ready() override { return !ring_.empty();
//   } ... };
//
//   const ScopedPollSource added(context, inbox);
//   while ((co_await poll_source(inbox)).ok()) {
//     while (auto message = ring.take()) { ... }
//   }
//
// A AwaitablePollSource is a PollSource, with its doorbell, poll_begin() and poll_end(), whose
// on_ready() resumes the task that waits for it. While no task waits, nobody looks at it. After a
// wait the task takes all that is there; if it does not, the next wait ends at once. One task waits
// at a time.
//
// May complete without suspending? When the source is ready already, or cancelled before.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home, inside the turn that found the source ready.
// Who must outlive whom? The source outlives the wait, and is added to the task's home meanwhile.

#ifndef COAIO_CORO_POLL_SOURCE_H_
#define COAIO_CORO_POLL_SOURCE_H_

#include <coroutine>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/poll_source.h"

namespace coaio {

class SourceWait;

class AwaitablePollSource : public PollSource {
 public:
  using PollSource::PollSource;
  ~AwaitablePollSource() override {
    check(waiter_ == nullptr, "a source ends while a task waits for it: end the task before");
  }

  // Whether it is ready. Looks at memory only, like PollSource::poll().
  virtual bool ready() = 0;

  bool poll() final { return waiter_ != nullptr && ready(); }
  void on_ready() final;
  void on_remove() final {
    check(waiter_ == nullptr, "a source is removed while a task waits for it: end the task before");
  }

 private:
  friend class SourceWait;

  SourceWait* waiter_ = nullptr;
};

class SourceWait : private Operation {
 public:
  explicit SourceWait(AwaitablePollSource& source)
      : Operation(&SourceWait::withdraw), source_(source) {}
  ~SourceWait();

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    return suspend(task.promise());
  }
  absl::Status await_resume() const;

 private:
  friend class AwaitablePollSource;

  bool suspend(PromiseBase& task);
  void leave();
  static void withdraw(CancelNode& node);

  AwaitablePollSource& source_;
};

[[nodiscard]] inline SourceWait poll_source(AwaitablePollSource& source) {
  return SourceWait(source);
}

}  // namespace coaio

#endif  // COAIO_CORO_POLL_SOURCE_H_
