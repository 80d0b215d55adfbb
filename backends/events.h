// Events: the conditions that a file descriptor is watched for, or that were found on it.
//
//   Events interest = Events::kIn | Events::kOut;
//   if (any(seen & Events::kHangUp)) ...
//
// An owner asks for kIn, kOut, kPriority and kReadHangUp. The kernel reports kHangUp, kError and
// kInvalid whenever they hold: an owner can neither ask for them nor mask them.
//
// The values equal the constants of poll(2) and epoll(7), which backends/poll_bits.h asserts.

#ifndef COAIO_BACKENDS_EVENTS_H_
#define COAIO_BACKENDS_EVENTS_H_

#include <cstdint>

namespace coaio {

enum class Events : std::uint32_t {
  kNone = 0,
  kIn = 0x1,
  kPriority = 0x2,  // urgent data, or another meaning that POLLPRI has for the file
  kOut = 0x4,
  kError = 0x8,
  kHangUp = 0x10,
  kInvalid = 0x20,       // the descriptor is not open
  kReadHangUp = 0x2000,  // the peer has shut down its writing side
};

constexpr Events operator|(Events a, Events b) {
  return static_cast<Events>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr Events operator&(Events a, Events b) {
  return static_cast<Events>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}
constexpr Events operator~(Events a) { return static_cast<Events>(~static_cast<std::uint32_t>(a)); }
constexpr Events& operator|=(Events& a, Events b) { return a = a | b; }
constexpr Events& operator&=(Events& a, Events b) { return a = a & b; }
constexpr bool any(Events events) { return events != Events::kNone; }

// These events end every wait, for each direction.
inline constexpr Events kFailure = Events::kError | Events::kHangUp | Events::kInvalid;

// The events to ask the kernel for when an edge-triggered watch asks for the wanted events only.
// Read-hang-up accompanies a wanted kIn if it was armed.
constexpr Events with_read_hang_up(Events wanted, Events armed) {
  return (any(wanted & Events::kIn) ? wanted | Events::kReadHangUp : wanted) & armed;
}

}  // namespace coaio

#endif  // COAIO_BACKENDS_EVENTS_H_
