// The CPU time of another process: user and system, all of its threads (io_uring's workers are
// among them), in nanoseconds and up to date to the call, which the ticks of /proc/PID/stat are
// not. Reading it costs under a microsecond and does not disturb the process, so it can bracket
// exactly the measured window, the same way for every contender.

#ifndef COAIO_BENCH_ECHO_PROCESS_CLOCK_H_
#define COAIO_BENCH_ECHO_PROCESS_CLOCK_H_

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>

#include "bench/echo/exit.h"

namespace coaio::bench {

class ProcessClock {
 public:
  explicit ProcessClock(pid_t pid) {
    if (clock_getcpuclockid(pid, &clock_) != 0) {
      exit_with(kExitFailed, "no process " + std::to_string(pid) + " to take CPU time of");
    }
  }

  std::int64_t now_ns() const {
    timespec time{};
    check_call(clock_gettime(clock_, &time), "reading the server's CPU clock");
    return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
  }

 private:
  clockid_t clock_{};
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_PROCESS_CLOCK_H_
