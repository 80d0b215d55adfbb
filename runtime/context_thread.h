// ContextThread: a context with a thread of its own, which runs it until the object ends.
//
//   absl::StatusOr<ContextThread> worker = ContextThread::start({}, {.name = "storage", .cpu = 3});
//   if (!worker.ok()) return worker.status();
//   worker->context().post([] { ... });                // or, in a task:
//   co_await resume_on(worker->context());
//
// Threads: start(), stop() and the destructor on any thread but the one that is started; the thread
//   is the home of the context when start() returns. A Context says what other threads may call.
// Lifetime: the objects and tasks that use the context end before stop(), because no thread runs
//   the context after stop(). The destructor calls stop() and then destroys the context. The
//   destructor of the context aborts if an object or task still uses the context.
// Fork: in a forked child the object does nothing, and neither does its destructor.
// Errors: start() fails where Context::create() fails, where the system has no thread to give, and
//   where the thread may not run on the CPU.

#ifndef COAIO_RUNTIME_CONTEXT_THREAD_H_
#define COAIO_RUNTIME_CONTEXT_THREAD_H_

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "runtime/context.h"

namespace coaio {

struct ThreadOptions {
  // What ps and top show. The kernel keeps the first 15 bytes.
  std::string name = "coaio";

  // The one CPU on which the thread runs. Empty: those of the thread that starts it.
  std::optional<int> cpu;
};

class ContextThread {
 public:
  static absl::StatusOr<ContextThread> start(const ContextOptions& options = {},
                                             const ThreadOptions& thread = {});

  ContextThread(ContextThread&& other) noexcept;
  ContextThread& operator=(ContextThread&& other) noexcept;
  ~ContextThread();

  // Until the object is moved from.
  Context& context() const;
  std::thread::id id() const;

  // Asks the loop to end without waiting for that, so that several can end at the same time.
  void request_stop();

  // Returns when the thread has ended. The context stays, without a thread that runs it. Later
  // calls do nothing.
  void stop();

 private:
  struct State;

  explicit ContextThread(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_CONTEXT_THREAD_H_
