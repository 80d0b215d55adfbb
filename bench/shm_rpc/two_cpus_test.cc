#include "bench/shm_rpc/two_cpus.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <optional>

namespace coaio::bench {
namespace {

// Restores the CPUs of this thread at its end.
class UsableCpus {
 public:
  UsableCpus() { REQUIRE(sched_getaffinity(0, sizeof before_, &before_) == 0); }
  ~UsableCpus() { sched_setaffinity(0, sizeof before_, &before_); }
  UsableCpus(const UsableCpus&) = delete;
  UsableCpus& operator=(const UsableCpus&) = delete;

  const cpu_set_t& all() const { return before_; }
  int last() const {
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &before_)) {
      --cpu;
    }
    return cpu;
  }
  static void leave_only(int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  }

 private:
  cpu_set_t before_;
};

TEST_CASE("two different CPUs are chosen among those that the process may use") {
  const UsableCpus usable;
  const std::optional<TwoCpus> cpus = choose_two_cpus();
  if (CPU_COUNT(&usable.all()) < 2) {
    CHECK_FALSE(cpus.has_value());
    return;
  }
  REQUIRE(cpus.has_value());
  CHECK(cpus->first != cpus->second);
  CHECK(CPU_ISSET(cpus->first, &usable.all()));
  CHECK(CPU_ISSET(cpus->second, &usable.all()));
}

TEST_CASE("where one CPU is usable, whichever it is, no two are chosen") {
  const UsableCpus usable;
  UsableCpus::leave_only(usable.last());
  CHECK_FALSE(choose_two_cpus().has_value());
}

}  // namespace
}  // namespace coaio::bench
