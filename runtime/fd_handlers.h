// FdHandlers: the callbacks for one descriptor, as Context::set_fd_handler() takes them.
//
//   context.set_fd_handler(fd, {.read = [&] { ... }, .write = nullptr, .name = "control socket"});

#ifndef COAIO_RUNTIME_FD_HANDLERS_H_
#define COAIO_RUNTIME_FD_HANDLERS_H_

#include "absl/functional/any_invocable.h"

namespace coaio {

// The loop calls `read` while the descriptor is readable, and `write` while it is writable. On an
// error or a hang-up the loop calls both. An empty callback is never called. A nested turn does not
// call a handler that is running.
struct FdHandlers {
  absl::AnyInvocable<void()> read;
  absl::AnyInvocable<void()> write;

  // True for a descriptor that receives requests of clients. The loop does not call its handlers
  // between Context::disable_external() and enable_external().
  bool external = false;

  // The name that a Watchdog prints. It outlives the handlers.
  const char* name = nullptr;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_FD_HANDLERS_H_
