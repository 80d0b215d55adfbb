// Descriptors for tests: made ready, drained, filled and closed at will. All are non-blocking and
// close-on-exec; what cannot be made fails the test.

#ifndef COAIO_TESTS_SUPPORT_DESCRIPTORS_H_
#define COAIO_TESTS_SUPPORT_DESCRIPTORS_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "backends/unique_fd.h"

namespace coaio::testing {

// Two connected ends. Of a pipe, `a` reads and `b` writes.
struct Pair {
  UniqueFd a;
  UniqueFd b;
};

Pair make_pipe();
Pair make_unix_pair();  // stream sockets: what one end sends is there when send() returns
Pair make_tcp_pair();   // over the loopback device: what one end sends arrives soon

UniqueFd make_eventfd(unsigned value);

// Becomes readable once in each interval.
UniqueFd make_periodic_timer(std::chrono::nanoseconds interval);

// Raises RLIMIT_NOFILE to this count if need be. Returns whether the process may have as many.
bool allow_descriptors(std::size_t count);

// The result of a call that makes a descriptor.
UniqueFd checked(int fd);

void write_all(const UniqueFd& fd, std::string_view data);

// Reads until EAGAIN or end of file.
std::string read_all(const UniqueFd& fd);

// Until EAGAIN.
void fill(const UniqueFd& fd);

// Whether the kernel has closed the other end, of a Unix socket or a pipe, by now.
bool has_hung_up(const UniqueFd& fd);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_DESCRIPTORS_H_
