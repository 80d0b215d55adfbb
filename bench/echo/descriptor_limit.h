// Raises the number of file descriptors this process may have open to the hard limit, as ten thousand connections need it.
#pragma once

#include <sys/resource.h>

#include "bench/echo/exit.h"

namespace coaio::bench {

// Returns the limit that now holds.
inline rlim_t raise_descriptor_limit() {
  rlimit limit{};
  check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  return limit.rlim_cur;
}

}  // namespace coaio::bench
