// Load: a contender with idle and active descriptors, and turns in which each active one is
// reported.

#ifndef COAIO_BENCH_BACKENDS_LOAD_H_
#define COAIO_BENCH_BACKENDS_LOAD_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "bench/backends/contender.h"

namespace coaio::bench {

// Descriptors for the largest load. Exits with a sentence if the limit is too low.
void allow_descriptors(std::size_t count);

// Nothing ever happens on it. All loads share these.
int idle_descriptor(std::size_t index);

class Load {
 public:
  Load(std::unique_ptr<Contender> contender, Trigger trigger, std::size_t idle, std::size_t active);

  // Nanoseconds for each turn, over a few milliseconds. What makes descriptors ready is not
  // counted.
  double nanoseconds_per_turn();

  // The same, for one more descriptor that is watched and forgotten.
  double nanoseconds_per_pair();

  void turn();
  void pair() { contender_->watch_and_forget(extra_.get()); }

 private:
  void make_ready();
  void wait_for_all();

  std::unique_ptr<Contender> contender_;
  Trigger trigger_;
  std::vector<UniqueFd> active_;
  UniqueFd extra_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_BACKENDS_LOAD_H_
