#include "runtime/polling/poll_environment.h"

#include <sched.h>
#include <sys/resource.h>

#include <cstdint>

#include "runtime/polling/cpu_quota.h"

namespace coaio::internal {
namespace {

double own_quota() { return cpu_quota(); }

bool one_cpu() {
  cpu_set_t cpus;
  return sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

PollEnvironment::Thread read_calling_thread() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return {.involuntary_switches = static_cast<std::uint64_t>(usage.ru_nivcsw),
          .one_cpu = one_cpu()};
}

}  // namespace

PollEnvironment PollEnvironment::real() {
  return {.cpu_quota = own_quota, .calling_thread = read_calling_thread};
}

}  // namespace coaio::internal
