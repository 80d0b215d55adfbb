// ThreadClock: the CPU time of another thread of this process, in nanoseconds.

#ifndef COAIO_BENCH_POLL_POLICY_THREAD_CLOCK_H_
#define COAIO_BENCH_POLL_POLICY_THREAD_CLOCK_H_

#include <pthread.h>

#include <cstdint>
#include <ctime>

#include "bench/echo/exit.h"

namespace coaio::bench {

class ThreadClock {
 public:
  explicit ThreadClock(pthread_t thread) {
    if (pthread_getcpuclockid(thread, &clock_) != 0) {
      exit_with(kExitFailed, "no thread clock");
    }
  }

  std::int64_t now_ns() const {
    timespec time{};
    check_call(clock_gettime(clock_, &time), "clock_gettime");
    return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
  }

 private:
  clockid_t clock_{};
};

// The calling thread stays on this CPU.
inline void stay_on(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  check_call(sched_setaffinity(0, sizeof cpus, &cpus), "sched_setaffinity");
}

}  // namespace coaio::bench

#endif  // COAIO_BENCH_POLL_POLICY_THREAD_CLOCK_H_
