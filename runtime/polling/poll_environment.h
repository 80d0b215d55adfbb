// PollEnvironment: what a PollGuard asks the kernel about the calling thread and its process.

#ifndef COAIO_RUNTIME_POLLING_POLL_ENVIRONMENT_H_
#define COAIO_RUNTIME_POLLING_POLL_ENVIRONMENT_H_

#include <cstdint>

namespace coaio::internal {

struct PollEnvironment {
  struct Thread {
    std::uint64_t involuntary_switches = 0;  // so far
    bool one_cpu = false;                    // it may run on one CPU only
  };

  double (*cpu_quota)() = nullptr;
  Thread (*calling_thread)() = nullptr;

  static PollEnvironment real();
  static PollEnvironment ignored() { return {}; }  // only polling_share limits the polling
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_POLLING_POLL_ENVIRONMENT_H_
