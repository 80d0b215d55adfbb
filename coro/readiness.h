// readable, writable, ready: waiting for a file descriptor that coaio does not own.
//
//   absl::Status status = co_await readable(fd);   // then read(fd, ...); EAGAIN is possible
//   absl::StatusOr<Events> seen = co_await ready(fd, Events::kIn | Events::kOut);
//
// Any descriptor: sockets and pipes of other libraries, terminals, timerfds, ... Files without
// readiness (regular files, /dev/null) are ready at once. Several tasks may wait for one
// descriptor; those of one direction get their turns in the order of asking. Error and hang-up end
// every wait. The registration with the kernel is kept between waits, which allocate nothing.
//
// May complete without suspending? Only when cancelled before.
// Observes cancellation? Yes: kCancelled.
// Resumes where? On the task's home, inside the turn that found the descriptor ready.
// Who must outlive whom? The descriptor stays open while a task waits for it. Once a wait has
// ended,
//   with whatever result, close(2) closes the file. To close the descriptor earlier, give it up
//   first, and the waits end with kCancelled:
//
//     context.release_fd(fd);
//     close(fd);
//
//   After a close() without release_fd(), the back end decides how the waits end: with epoll they
//   do not end; io_uring keeps the file open and goes on to wait for it; with ppoll they end with
//   EBADF, or wait for the next file that gets the number.
// Errors: a number that is not open is kFailedPrecondition (EBADF).

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

// The same for those who do not ask what exactly was seen.
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
