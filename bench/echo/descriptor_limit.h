// Raises the number of file descriptors this process may have open to the hard limit, as ten
// thousand connections need it.

#ifndef COAIO_BENCH_ECHO_DESCRIPTOR_LIMIT_H_
#define COAIO_BENCH_ECHO_DESCRIPTOR_LIMIT_H_

#include <sys/resource.h>

#include "bench/echo/exit.h"

namespace coaio::bench {

// Returns the limit that now holds.
inline rlim_t raise_descriptor_limit() {
  rlimit limit{};
  check_call(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  check_call(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  return limit.rlim_cur;
}

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_DESCRIPTOR_LIMIT_H_
