// Traces: the true times from the begin of a wait to its event, one after another, as a loop could
// meet them. Seeded: the same on every machine.

#ifndef COAIO_BENCH_POLL_POLICY_TRACES_H_
#define COAIO_BENCH_POLL_POLICY_TRACES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace coaio::bench {

struct Trace {
  std::string name;
  std::vector<std::chrono::nanoseconds> waits;
  bool shared_cpu = false;  // the partner has no other: it stands still while the loop polls
};

// The first waits of each trace are long: every policy starts asleep. What a policy does in them,
// and while it gets to know the rest, is not judged.
inline constexpr std::size_t kAsleep = 200;
inline constexpr std::size_t kLearning = 256;

// The recorded traces come last.
std::vector<Trace> all_traces();
std::vector<Trace> shared_cpu_traces();

// The bursty one and the bimodal one, which no single budget fits.
bool is_mixed(const Trace& trace);

// A file of traces/, in nanoseconds. Made from these files by the build.
struct RecordedTrace {
  std::string name;
  std::vector<std::int64_t> waits;
};
const std::vector<RecordedTrace>& recorded_traces();

// A trace recorded from a real run by `live`: nanoseconds, one number a line, after the long waits
// that all traces begin with. No waits if the file cannot be read.
Trace read_trace(const std::string& path);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_POLL_POLICY_TRACES_H_
