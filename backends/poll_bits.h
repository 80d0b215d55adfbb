// poll_bits: converts Events to the kernel's constants and back. Private to the back ends.

#ifndef COAIO_BACKENDS_POLL_BITS_H_
#define COAIO_BACKENDS_POLL_BITS_H_

#include <poll.h>
#include <sys/epoll.h>

#include <cstdint>

#include "backends/events.h"

namespace coaio::internal {

static_assert(POLLIN == static_cast<int>(Events::kIn) && EPOLLIN == POLLIN);
static_assert(POLLPRI == static_cast<int>(Events::kPriority) && EPOLLPRI == POLLPRI);
static_assert(POLLOUT == static_cast<int>(Events::kOut) && EPOLLOUT == POLLOUT);
static_assert(POLLERR == static_cast<int>(Events::kError) && EPOLLERR == POLLERR);
static_assert(POLLHUP == static_cast<int>(Events::kHangUp) && EPOLLHUP == POLLHUP);
static_assert(POLLNVAL == static_cast<int>(Events::kInvalid));
static_assert(POLLRDHUP == static_cast<int>(Events::kReadHangUp) && EPOLLRDHUP == POLLRDHUP);

constexpr std::uint32_t poll_bits(Events events) { return static_cast<std::uint32_t>(events); }

// Bits outside Events (POLLRDNORM and other synonyms) are dropped.
constexpr Events events_of(std::uint32_t bits) {
  constexpr Events kAll =
      Events::kIn | Events::kPriority | Events::kOut | Events::kReadHangUp | kFailure;
  return static_cast<Events>(bits) & kAll;
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_POLL_BITS_H_
