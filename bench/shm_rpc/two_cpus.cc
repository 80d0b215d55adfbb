#include "bench/shm_rpc/two_cpus.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "backends/check.h"

namespace coaio::bench {

using namespace internal;
namespace {

std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  check(sched_getaffinity(0, sizeof set, &set) == 0, "the usable CPUs are not known");
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

// All threads of one core name the same ones.
std::string core_of(int cpu) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                     "/topology/thread_siblings_list");
  std::string siblings;
  return std::getline(file, siblings) ? siblings : std::to_string(cpu);
}

}  // namespace

std::optional<TwoCpus> choose_two_cpus() {
  const std::vector<int> cpus = usable_cpus();
  if (cpus.size() < 2) {
    return std::nullopt;
  }
  const std::string core = core_of(cpus.front());
  const auto other = std::find_if(std::next(cpus.begin()), cpus.end(),
                                  [&](int cpu) { return core_of(cpu) != core; });
  return TwoCpus{.first = cpus.front(), .second = other == cpus.end() ? cpus[1] : *other};
}

}  // namespace coaio::bench
