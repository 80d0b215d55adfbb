// FdHandlers: the callbacks for one descriptor, as Context::set_fd_handler() takes them.
//
//   context.set_fd_handler(fd, {.read = [&] { ... }, .write = nullptr, .name = "control socket"});

#ifndef COAIO_RUNTIME_FD_HANDLERS_H_
#define COAIO_RUNTIME_FD_HANDLERS_H_

#include "absl/functional/any_invocable.h"

namespace coaio {

// Called while the descriptor is ready; an empty callback asks for nothing. Error and hang-up call
// both. A nested turn does not call a handler that is running.
struct FdHandlers {
  absl::AnyInvocable<void()> read;
  absl::AnyInvocable<void()> write;

  // Brings work from clients, as opposed to completions of our own: disable_external() holds it
  // back.
  bool external = false;

  // The name that a Watchdog prints. It outlives the handlers.
  const char* name = nullptr;
};

}  // namespace coaio

#endif  // COAIO_RUNTIME_FD_HANDLERS_H_
