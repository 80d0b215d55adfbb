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
// on_ready() resumes the task that waits for it. While no task waits, the loop does not look at it.
// After a wait the task takes all that is there; if it does not, the next wait ends at once. One
// task waits at a time, which is checked.
//
// May complete without suspending? When the source is ready already, or cancelled before.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home, inside the turn that found the source ready.
// Who must outlive whom? The source outlives the wait, and is added to the task's home meanwhile.

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
  class Wait;  // what poll_source() gives

  AwaitablePollSource() : AwaitablePollSource(-1) {}
  // As for PollSource.
  explicit AwaitablePollSource(int doorbell, const char* name = nullptr)
      : PollSource(doorbell, name, internal::CallKind::kTaskAfterSource) {}
  ~AwaitablePollSource() override;

  // Whether it is ready. Looks at memory only, like PollSource::poll().
  virtual bool ready() = 0;

  bool poll() final { return waiter_ != nullptr && ready(); }
  void on_ready() final;
  void on_remove() final {
    internal::check(waiter_ == nullptr,
                    "a source is removed while a task waits for it: end the task before");
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
