// readable, writable, ready: wait for a file descriptor that coaio does not own.
//
//   absl::Status status = co_await readable(fd);   // then read(fd, ...); EAGAIN is possible
//   absl::StatusOr<Events> seen = co_await ready(fd, Events::kIn | Events::kOut);
//
// The descriptor may be of any kind: a socket or pipe of another library, a terminal, a timerfd.
// Files without readiness (regular files, /dev/null) are ready at once. Several tasks may wait for
// one descriptor; tasks that wait for the same direction resume in the order in which they began to
// wait. An error or a hang-up ends every wait. The registration with the kernel is kept between
// waits, and waiting allocates nothing.
//
// May complete without suspending? Only when the task was cancelled before.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home: inside the turn that found the descriptor ready, or through
//   the run queue after a cancellation.
// What must outlive what? The descriptor stays open while a task waits for it. When the wait has
//   ended, with any result, close(2) closes the file. To close the descriptor earlier, release it
//   first; the waits then end with kCancelled:
//
//     context.release_fd(fd);
//     close(fd);
//
//   After a close() without release_fd() the result depends on the back end: on epoll the waits do
//   not end; on io_uring they go on, and keep the file open; on ppoll they end with EBADF, or wait
//   for the next file that is opened under the same descriptor.
// Errors: a descriptor that is not open gives kFailedPrecondition (EBADF).

#ifndef COAIO_CORO_READINESS_H_
#define COAIO_CORO_READINESS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/events.h"
#include "coro/awaitable.h"
#include "coro/operation.h"
#include "coro/promise.h"
#include "runtime/fd_table.h"

namespace coaio {

class Readiness : public AwaitableOperation<Readiness>, private internal::FdWaiter {
 public:
  Readiness(int fd, Events interest)
      : internal::FdWaiter(&Readiness::wake), fd_(fd), interest_(interest) {}
  ~Readiness();

  absl::StatusOr<Events> await_resume() const;

 private:
  friend class AwaitableOperation<Readiness>;
  friend class Awaitable<Readiness>;

  bool suspend(PromiseBase& task);
  void withdraw();
  static void wake(internal::FdWaiter& waiter, Events events);

  int fd_;
  Events interest_;
  Events seen_ = Events::kNone;
};

// The same without the events that were seen.
class ReadinessStatus : public Readiness {
 public:
  using Readiness::Readiness;
  absl::Status await_resume() const { return Readiness::await_resume().status(); }
};

[[nodiscard]] inline ReadinessStatus readable(int fd) { return {fd, Events::kIn}; }
[[nodiscard]] inline ReadinessStatus writable(int fd) { return {fd, Events::kOut}; }
[[nodiscard]] inline Readiness ready(int fd, Events interest) { return {fd, interest}; }

}  // namespace coaio

#endif  // COAIO_CORO_READINESS_H_
