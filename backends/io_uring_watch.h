// IoUringWatch: a watch, and the poll request that the ring has for it. Private to the io_uring
// back end.

#ifndef COAIO_BACKENDS_IO_URING_WATCH_H_
#define COAIO_BACKENDS_IO_URING_WATCH_H_

#include <poll.h>

#include <cstdint>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/poll_bits.h"
#include "backends/poll_now.h"
#include "backends/watch_table.h"

namespace coaio::internal {

struct IoUringWatch : Watch {
  std::uint32_t request = 0;  // the number of the poll request in flight; 0 if there is none
  Events submitted_interest = Events::kNone;  // what that request asks for

  Events wanted = Events::kNone;  // kEdge: the part of the interest that the owner waits for

  // The requests of this watch ask for the wanted events, not for the whole interest. True of a
  // kEdge watch whose multishot request the kernel has ended because the completion ring was full.
  // An idle socket is ready for output at once, so a request for all directions would fill the ring
  // again and again.
  bool wanted_only = false;

  // A poll request reports POLLRDHUP even if it does not ask for it. A one-shot request on a
  // half-closed socket therefore completes at once, each time. A multishot request reports the
  // condition once and stays in flight, so the watch uses one from then on.
  bool ignore_rdhup = false;

  void renew() {
    wanted = Events::kNone;
    wanted_only = false;
    ignore_rdhup = false;
  }

  bool in_flight() const { return request != 0; }

  // What a request should ask for. A disarmed watch has no interest.
  Events asked() const { return wanted_only ? with_read_hang_up(wanted, interest) : interest; }

  // Whether the request in flight asks for these events.
  bool is_submitted() const {
    return (wanted_only ? submitted_interest & asked() : submitted_interest) == asked();
  }

  bool multishot() const { return trigger == Trigger::kEdge || ignore_rdhup; }

  // The kernel wakes a request for urgent data only if it also asks for data.
  std::uint32_t bits() const {
    return any(asked() & Events::kPriority) ? poll_bits(asked() | Events::kIn) | kWakeUpBits
                                            : poll_bits(asked());
  }

  // The events of a completion that concern the owner. Read-hang-up that the owner did not ask for
  // and urgent data that is not there are left out.
  Events meant_by(std::uint32_t completed) const {
    const Events events = events_of(completed) & ((submitted_interest & interest) | kFailure);
    const bool uncertain = any(events & Events::kPriority) && (completed & kWakeUpBits) != 0;
    return uncertain ? checked_priority(events) : events;
  }

  // A socket wakes its waiters for data and for urgent data with the same bits, which include
  // POLLRDBAND. After one wake-up the kernel completes the request with these bits. After several
  // wake-ups it calls the poll function of the socket, which never returns POLLRDBAND. If a
  // completion has this bit, its POLLPRI may be false.
  static constexpr std::uint32_t kWakeUpBits = POLLRDBAND;

  // Polls the socket if the owner waits for urgent data.
  [[gnu::noinline]] Events checked_priority(Events events) const {
    const bool waits = trigger != Trigger::kEdge || any(wanted & Events::kPriority);
    const bool is_there = waits && any(poll_now(fd, Events::kPriority) & Events::kPriority);
    return is_there ? events : events & ~Events::kPriority;
  }

  // The user data of the request.
  std::uint64_t user_data(std::uint32_t slot) const { return std::uint64_t{request} << 32 | slot; }

  void submit_as(std::uint32_t number) {
    request = number;
    submitted_interest = asked();
  }
};

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_WATCH_H_
