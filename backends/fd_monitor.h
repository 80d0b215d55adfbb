// FdMonitor: how the loop learns that a file descriptor is ready. The contract of every back end.
//
//   monitor->arm(fd, key, Events::kIn, Trigger::kOneShot);
//   std::vector<FdEvent> ready;
//   monitor->wait(FdMonitor::kForever, ready);   // ready[0].key == key
//   monitor->disarm(key);
//   monitor->settle();                           // then close(fd)
//
// A monitor knows descriptors and keys; it knows nothing of callbacks, timers or coroutines.
// backends/README.md is the table of this contract, tests/backends/fd_monitor_contract_test.cc runs
// each clause on every back end.
//
// Threads: one thread. Construction may happen elsewhere; the first wait() binds the monitor to its
//   thread, and from then on every call comes from there.
// Lifetime: an armed descriptor stays open until it is disarmed: disarm, settle, then close.
// Without
//   settle() the kernel may close the file later than close(2) returns. Closing an armed descriptor
//   is an error of the caller with a bounded result: no crash, no event under another key, no
//   endless wake-up. A monitor that is destroyed settles for all its watches, if that happens on
//   its thread; after that thread has ended, io_uring leaves its files to a kernel worker for some
//   milliseconds. In a forked child a monitor can only be destroyed, which leaves the parent's
//   watches alone.
// Errors: arm() never fails; what the kernel refuses of one descriptor is reported as kInvalid
//   under its key, and what it refuses of the mechanism is the status of wait().

#ifndef COAIO_BACKENDS_FD_MONITOR_H_
#define COAIO_BACKENDS_FD_MONITOR_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/events.h"

namespace coaio {

// Names one watch. The owner chooses small slots and takes a new generation whenever a slot gets
// another meaning, so that a late report is recognised by number: no pointer is handed to the
// kernel.
struct Key {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  friend constexpr bool operator==(Key, Key) = default;
};

struct FdEvent {
  Key key;
  Events events = Events::kNone;
};

enum class Trigger : std::uint8_t {
  kOneShot,  // level semantics, once: delivery ends the interest, arm() again renews it
  kLevel,    // reported by every wait() while the condition holds
  // Reported when the condition begins to hold. Armed once, for all directions; the owner uses the
  // descriptor until EAGAIN before it waits again, and says so with want(). Early and repeated
  // reports are allowed.
  kEdge,
};

enum class Peek : std::uint8_t { kReady, kNothing, kCannotTell };

class FdMonitor {
 public:
  static constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();

  FdMonitor() = default;
  FdMonitor(const FdMonitor&) = delete;
  FdMonitor& operator=(const FdMonitor&) = delete;
  virtual ~FdMonitor() = default;

  // "ppoll", "epoll" or "io_uring".
  virtual absl::string_view name() const = 0;

  // Remembers the watch; the kernel is told no later than by the next wait(). A key that is armed
  // already gets the new interest, and one whose slot holds an older generation replaces it. One
  // live key per descriptor, and one trigger per key. An empty interest is no interest: nothing is
  // reported, errors included.
  virtual void arm(int fd, Key key, Events interest, Trigger trigger) = 0;

  // kEdge only: the owner found nothing left and is about to wait for these directions.
  virtual void want(Key key, Events interest) = 0;

  // Ends the watch: no event of this key is delivered after it returns. Tolerates an unknown key.
  virtual void disarm(Key key) = 0;

  // When it returns, the kernel holds no file on account of a disarmed watch: a close(2) that
  // follows closes the file. Reports nothing and forgets no event. One call does for all watches
  // that were disarmed before it, and makes no system call if the kernel knows none of them.
  virtual void settle() = 0;

  // Applies the queued changes, sleeps until something is ready or `timeout` has passed (rounded up
  // to what the kernel counts in; zero does not sleep), and appends what is ready. May return early
  // with nothing (a signal). An error means that the mechanism itself is refused or exhausted: no
  // watch is forgotten, and the owner can arm them all on another monitor.
  virtual absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) = 0;

  // Whether a wait(0) would report something, as far as user space can see; never a system call. A
  // false kReady costs one such call; kNothing is never false for longer than the kernel needs to
  // publish an event.
  virtual Peek peek() const = 0;

  // A descriptor that polls readable when wait(0) would report something; spurious readiness is
  // allowed. It does not see changes that are queued, nor events that settle() came upon: ask for
  // it first, then call wait(0), then sleep on it. kUnimplemented where there is none (ppoll).
  virtual absl::StatusOr<int> pollable_fd() = 0;
};

}  // namespace coaio

#endif  // COAIO_BACKENDS_FD_MONITOR_H_
