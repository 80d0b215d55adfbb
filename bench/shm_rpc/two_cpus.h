// TwoCpus: where two threads that never sleep may run, each on a CPU of its own.

#ifndef COAIO_BENCH_SHM_RPC_TWO_CPUS_H_
#define COAIO_BENCH_SHM_RPC_TWO_CPUS_H_

#include <optional>

namespace coaio::bench {

struct TwoCpus {
  int first;
  int second;
};

// Chooses from the CPUs that this process may use: two cores if possible, because two threads of
// one core wait for each other. Empty if there is one CPU only.
std::optional<TwoCpus> choose_two_cpus();

}  // namespace coaio::bench

#endif  // COAIO_BENCH_SHM_RPC_TWO_CPUS_H_
