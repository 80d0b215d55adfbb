// IoUringWatch: a watch, and what the ring was told of it. Private to the io_uring back end.

#ifndef COAIO_BACKENDS_IO_URING_WATCH_H_
#define COAIO_BACKENDS_IO_URING_WATCH_H_

#include <poll.h>

#include <cstdint>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/poll_bits.h"
#include "backends/poll_now.h"
#include "backends/watch_table.h"

namespace coaio {

struct IoUringWatch : Watch {
  std::uint32_t request = 0;             // the ring holds a poll request of this number, if not 0,
  int told_fd = -1;                      // for this descriptor,
  std::uint32_t told_generation = 0;     // under this generation,
  Events told_interest = Events::kNone;  // with these bits

  Events wanted = Events::kNone;  // kEdge: what of the interest the owner is waiting for

  // A kEdge watch whose multishot request the kernel has ended, for lack of room for its event,
  // asks for no more than is wanted from then on: an idle socket that is asked for all directions
  // reports "out" at once, and where room is short that would end the request again, without end.
  bool modest = false;

  // One-shot requests end with whatever the kernel shows, and read-hang-up it shows unasked: after
  // such an end the watch waits past it with a multishot request, which shows it once.
  bool patient = false;

  void renew() {
    wanted = Events::kNone;
    modest = false;
    patient = false;
  }

  bool in_flight() const { return request != 0; }

  // What the ring should hold. A disarmed watch has no interest.
  Events asked() const { return modest ? with_read_hang_up(wanted, interest) : interest; }

  bool as_told() const {
    const Events told = modest ? told_interest & asked() : told_interest;
    return told_fd == fd && told_generation == generation && told == asked();
  }

  bool multishot() const { return trigger == Trigger::kEdge || patient; }

  // A wake-up for urgent data passes the kernel's filter only as one for data.
  std::uint32_t bits() const {
    return any(asked() & Events::kPriority) ? poll_bits(asked() | Events::kIn) | kNoLook
                                            : poll_bits(asked());
  }

  // What the bits of a completion mean to the owner: read-hang-up comes unasked, urgent data
  // doubtful, and the interest may have changed since the ring was told.
  Events meant_by(std::uint32_t completed) const {
    const Events events = events_of(completed) & ((told_interest & interest) | kFailure);
    const bool doubtful = any(events & Events::kPriority) && (completed & kNoLook) != 0;
    return doubtful ? without_doubt(events) : events;
  }

  // A socket wakes for data and for urgent data with the same bits. Of a single wake-up, the kernel
  // passes them on; of several together, it looks what there is. Only the former have this bit.
  static constexpr std::uint32_t kNoLook = POLLRDBAND;

  // The look is made here, for those who wait for urgent data; to others the bit says nothing, so
  // they do not get it.
  [[gnu::noinline]] Events without_doubt(Events events) const {
    const bool wait_for_it = trigger != Trigger::kEdge || any(wanted & Events::kPriority);
    const bool is_there = wait_for_it && any(poll_now(fd, Events::kPriority) & Events::kPriority);
    return is_there ? events : events & ~Events::kPriority;
  }

  // What a completion of the request brings back.
  std::uint64_t user_data(std::uint32_t slot) const { return std::uint64_t{request} << 32 | slot; }

  void tell(std::uint32_t number) {
    request = number;
    told_fd = fd;
    told_generation = generation;
    told_interest = asked();
  }
};

}  // namespace coaio

#endif  // COAIO_BACKENDS_IO_URING_WATCH_H_
