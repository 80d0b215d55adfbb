// FdMonitor: how the loop learns that a file descriptor is ready. The contract of every back end.
//
//   monitor->arm(fd, key, Events::kIn, Trigger::kOneShot);
//   std::vector<FdEvent> ready;
//   monitor->wait(FdMonitor::kForever, ready);   // ready[0].key == key
//   monitor->disarm(key);
//   monitor->settle();                           // then close(fd)
//
// A monitor knows descriptors and keys; it knows nothing of callbacks, timers or coroutines.
// backends/README.md has this contract as a table; tests/backends/fd_monitor_contract_test.cc tests
// each clause on every back end.
//
// Threads: one thread. Another thread may construct the monitor; the first wait() binds the monitor
//   to its thread, and all later calls come from that thread. After that thread has ended, one
//   other thread may disarm, settle and destroy.
// Lifetime: an armed descriptor stays open until it is disarmed: disarm, settle, then close.
//   Without settle() the kernel may close the file later than close(2) returns. To close an armed
//   descriptor is an error of the caller with a bounded result: no crash, no event under another
//   key, no endless wake-up. A monitor settles for all its watches when it is destroyed, and on
//   io_uring also when its thread ends. If another thread destroys the monitor while its thread
//   still runs, which Context refuses, io_uring leaves the files to a kernel worker for some
//   milliseconds. A forked child can only destroy the monitor, which leaves the parent's watches
//   alone.
// Errors: arm() never fails. If the kernel refuses one descriptor, wait() reports kInvalid for its
//   key. If the kernel refuses the mechanism, wait() returns the status.

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
// another meaning. The kernel gets keys and never pointers, so a late report is recognised by its
// generation.
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
  // Reported when the condition begins to hold. The owner arms the watch once, for all directions.
  // Before it waits again, it uses the descriptor until EAGAIN and then calls want(). Early and
  // repeated reports are allowed.
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

  // Remembers the watch; the next wait() registers it with the kernel. A key that is armed already
  // gets the new interest. A key with a new generation replaces the older key of its slot. A
  // descriptor has one live key, and a key one trigger. With an empty interest nothing is reported,
  // not even errors.
  virtual void arm(int fd, Key key, Events interest, Trigger trigger) = 0;

  // kEdge only: the owner has used the descriptor until EAGAIN and is going to wait for these
  // directions.
  virtual void want(Key key, Events interest) = 0;

  // Ends the watch: no event of this key is delivered after it returns. Tolerates an unknown key.
  virtual void disarm(Key key) = 0;

  // When it returns, the kernel holds no file on account of a disarmed watch, so a later close(2)
  // closes the file. Reports nothing and loses no event. One call suffices for all watches that
  // were disarmed before it. Makes no system call if none of these watches is registered.
  virtual void settle() = 0;

  // Applies the queued changes, sleeps until a watch is ready or `timeout` has passed, and appends
  // the events. The timeout is rounded up to the kernel's resolution; zero does not sleep. May
  // return early without an event (a signal). An error means that the mechanism itself is refused
  // or exhausted: no watch is lost, and the owner can arm them all on another monitor.
  virtual absl::Status wait(std::chrono::nanoseconds timeout, std::vector<FdEvent>& ready) = 0;

  // Whether wait(0) would report an event, as far as user space can see. peek() makes no system
  // call. kReady may be wrong: wait(0) then reports no event. kNothing may be wrong only until the
  // kernel has published an event that has just occurred.
  virtual Peek peek() const = 0;

  // A descriptor that is readable when wait(0) would report an event; spurious readiness is
  // allowed. Queued changes and events that settle() has received do not make it readable: call
  // pollable_fd(), then wait(0), then sleep on the descriptor. ppoll has none: kUnimplemented.
  virtual absl::StatusOr<int> pollable_fd() = 0;
};

}  // namespace coaio

#endif  // COAIO_BACKENDS_FD_MONITOR_H_
