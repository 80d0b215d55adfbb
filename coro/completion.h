// Completion<T>: one result that any thread sets once, and that one task awaits. It adapts an API
// that calls back.
//
//   Task<absl::StatusOr<int>> ask(Library& library) {
//     Completion<int> answer(co_await this_task());
//     const Request request = library.ask(question, [&answer](int n) { answer.set(n); });
//     absl::StatusOr<int> result = co_await answer.wait();
//     if (result.ok()) co_return result;                    // else it is kCancelled
//     if (!library.withdraw(request)) co_return co_await answer.wait_shielded();
//     co_return result;                                     // withdrawn: no set() follows
//   }
//
// wait() gives a result that can also hold a cancellation: for Completion<void> an absl::Status,
// for a T that is a Status or a StatusOr this T, for any other T an absl::StatusOr<T>.
// wait_shielded() gives the T. The result can be taken once. A cancellation does not lose the
// result: a task that resumes after set() gets the result, and a task whose wait() was cancelled
// can still await wait_shielded().
//
// May complete without suspending? wait(): when the result is there already, or cancelled before;
//   wait_shielded(): when the result is there. A result that another thread sets arrives through
//   the queue of the context.
// Observes cancellation? wait(): yes, kCancelled, and set() stays legal. wait_shielded(): no.
// Resumes where? On the context that the completion was made with, which is the task's home.
// What must outlive what? The completion outlives every call of set(), with one exception: a task
//   that has received the result may destroy the completion before the set() of that result has
//   returned. A cancelled task therefore keeps the completion until the library has called set(),
//   or has promised not to call set(). The context outlives the completion and every call of set().
// Threads: set() on any thread; set_from_signal() in signal handlers; everything else on the home
//   thread. The first call counts; later calls return false.
//
// Allocates nothing.

#ifndef COAIO_CORO_COMPLETION_H_
#define COAIO_CORO_COMPLETION_H_

#include <atomic>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/check.h"
#include "coro/awaitable.h"
#include "coro/cancel.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "coro/this_task.h"
#include "runtime/context.h"
#include "runtime/run_queue.h"

namespace coaio {

namespace internal {

// The part that knows no T: the way from the setter to the task.
//
// The setter's last access to the object is to queue it, and the home thread looks at nothing else
// to learn of the result. So the task may destroy the object as soon as it has the result, although
// set() has not returned.
class CompletionBase : private RunNode {
 public:
  CompletionBase(const CompletionBase&) = delete;
  CompletionBase& operator=(const CompletionBase&) = delete;

  Context& context() const { return context_; }

  // Whether the result has arrived. At home.
  bool arrived() const { return arrived_; }

 protected:
  class WaitBase;

  explicit CompletionBase(const TaskEnv& here)
      : RunNode(&CompletionBase::deliver), context_(here.context) {}
  ~CompletionBase();

  // True for the first caller, who sets the result and then publishes it. The order is that of the
  // queue: nothing is read on account of this flag.
  bool claim() { return !claimed_.exchange(true, std::memory_order_relaxed); }
  void publish();
  void publish_from_signal();

  void check_not_taken() {
    check(!std::exchange(taken_, true),
          "the result of a completion is awaited again after it was taken: make a new one for each "
          "result");
  }

 private:
  static void deliver(RunNode& node);
  void arrive();

  Context& context_;
  std::atomic<bool> claimed_{false};
  bool arrived_ = false;  // the rest is the home thread's
  bool taken_ = false;
  WaitBase* waiter_ = nullptr;
};

// A task that waits. One that is shielded hears of a cancellation, and goes on waiting.
class CompletionBase::WaitBase : public AwaitableOperation<CompletionBase::WaitBase> {
 protected:
  WaitBase(CompletionBase& completion, bool shielded)
      : completion_(completion), shielded_(shielded) {}
  ~WaitBase();

 private:
  friend class CompletionBase;
  friend class AwaitableOperation<WaitBase>;
  friend class Awaitable<WaitBase>;

  bool suspend(PromiseBase& task);
  void withdraw();

  CompletionBase& completion_;
  const bool shielded_;
};

template <typename T>
struct Cancellable {
  using Type = absl::StatusOr<T>;
};
template <>
struct Cancellable<void> {
  using Type = absl::Status;
};
template <>
struct Cancellable<absl::Status> {
  using Type = absl::Status;
};
template <typename T>
struct Cancellable<absl::StatusOr<T>> {
  using Type = absl::StatusOr<T>;
};

}  // namespace internal

template <typename T = void>
class [[nodiscard]] Completion : public internal::CompletionBase {
  static_assert(!std::is_reference_v<T>, "set a pointer or a std::reference_wrapper");

  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  class Wait : public WaitBase {
   public:
    using Result = internal::Cancellable<T>::Type;

    explicit Wait(Completion& completion)
        : WaitBase(completion, /*shielded=*/false), of_(completion) {}

    Result await_resume() {
      if (!of_.arrived()) {
        return Result(this->cancel_status());
      }
      if constexpr (std::is_void_v<T>) {
        of_.take();
        return absl::OkStatus();
      } else {
        return Result(of_.take());
      }
    }

   private:
    Completion& of_;
  };

  class ShieldedWait : public WaitBase {
   public:
    explicit ShieldedWait(Completion& completion)
        : WaitBase(completion, /*shielded=*/true), of_(completion) {}

    T await_resume() {
      if constexpr (std::is_void_v<T>) {
        of_.take();
      } else {
        return of_.take();
      }
    }

   private:
    Completion& of_;
  };

  // For a task of that context: Completion<int> answer(co_await this_task()).
  explicit Completion(const TaskEnv& here) : CompletionBase(here) {}

  // Any thread. Constructs the result from the arguments, and returns true. Returns false, and does
  // nothing, if the result was set before. The task does not run inside this call. An exception
  // from the constructor of T terminates the process, because the task would otherwise wait for
  // ever.
  template <typename... Args>
    requires std::constructible_from<Value, Args...>
  bool set(Args&&... args) noexcept {
    if (!claim()) {
      return false;
    }
    value_.emplace(std::forward<Args>(args)...);
    publish();
    return true;
  }

  // The same in a signal handler.
  template <typename... Args>
    requires std::constructible_from<Value, Args...> && std::is_trivially_copyable_v<Value>
  bool set_from_signal(Args&&... args) noexcept {
    if (!claim()) {
      return false;
    }
    value_.emplace(std::forward<Args>(args)...);
    publish_from_signal();
    return true;
  }

  [[nodiscard]] Wait wait() { return Wait(*this); }
  [[nodiscard]] ShieldedWait wait_shielded() { return ShieldedWait(*this); }

 private:
  Value take() {
    check_not_taken();
    return *std::move(value_);
  }

  std::optional<Value> value_;
};

}  // namespace coaio

#endif  // COAIO_CORO_COMPLETION_H_
