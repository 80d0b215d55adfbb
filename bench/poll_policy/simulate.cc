// Replays traces through the poll policies and prints what they would have cost, beside the best
// choice made in hindsight: simulate [LATENCY_WEIGHT [RECORDED_TRACE]...]

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "bench/poll_policy/replay.h"
#include "bench/poll_policy/traces.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {
namespace {

struct Contender {
  const char* name;
  PollPolicy policy;
};

std::vector<Contender> contenders(std::uint32_t latency_weight) {
  return {
      {"block", PollOff{}},
      {"spin", PollFixed{.max = std::chrono::hours(1)}},
      {"grow/shrink 32", PollGrowShrink{.max = std::chrono::microseconds(32)}},
      {"grow/shrink 128", PollGrowShrink{.max = std::chrono::microseconds(128)}},
      {"learned", PollLearned{.latency_weight = latency_weight, .wake_cost = kBelievedWakeCost}},
      {"learned late",
       PollLearned{.latency_weight = latency_weight, .wake_cost = kBelievedWakeCost, .late = true}},
  };
}

void print_row(const std::string& name, const std::vector<std::string>& cells) {
  std::printf("%-32s", name.c_str());
  for (const std::string& cell : cells) {
    std::printf(" %20s", cell.c_str());
  }
  std::printf("\n");
}

// "cost in units of hindsight's / mean lateness in µs / share of a CPU in %".
std::string cell(const Cost& cost, const Cost& hindsight, double latency_weight) {
  char text[64];
  if (cost.total(latency_weight) > 1e6 * hindsight.total(latency_weight)) {
    return "never ends";
  }
  std::snprintf(text, sizeof text, "%.2f /%5.1f /%3.0f",
                cost.total(latency_weight) / hindsight.total(latency_weight),
                cost.late_ns / static_cast<double>(cost.waits) / 1000,
                100 * cost.polled_ns / cost.elapsed_ns);
  return text;
}

int simulate(std::uint32_t latency_weight, const std::vector<Trace>& traces) {
  const std::vector<Contender> policies = contenders(latency_weight);
  std::printf("Cost against hindsight / mean lateness added, us / share of a CPU polled, %%\n");
  std::printf("Latency weight %u; waits in us.\n\n", latency_weight);
  std::vector<std::string> names;
  for (const Contender& contender : policies) {
    names.emplace_back(contender.name);
  }
  print_row("trace", names);
  for (const Trace& trace : traces) {
    const Cost hindsight = replay_in_hindsight(trace, latency_weight);
    std::vector<std::string> cells;
    for (const Contender& contender : policies) {
      cells.push_back(cell(replay(trace, contender.policy), hindsight, latency_weight));
    }
    print_row(trace.name, cells);
  }
  return 0;
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  std::uint32_t latency_weight = 3;
  if (argc >= 2 && (!absl::SimpleAtoi(argv[1], &latency_weight) || latency_weight == 0)) {
    std::fprintf(stderr,
                 "usage: simulate [LATENCY_WEIGHT [RECORDED_TRACE]...]\n"
                 "The weight is a whole number from 1 on (default 3).\n");
    return 2;
  }
  std::vector<coaio::bench::Trace> traces = coaio::bench::all_traces();
  for (coaio::bench::Trace& trace : coaio::bench::shared_cpu_traces()) {
    traces.push_back(std::move(trace));
  }
  for (int i = 2; i < argc; ++i) {
    traces.push_back(coaio::bench::read_trace(argv[i]));
    if (traces.back().waits.size() <= coaio::bench::kAsleep + coaio::bench::kLearning) {
      std::fprintf(stderr, "no trace of more than 256 waits: %s\n", argv[i]);
      return 1;
    }
  }
  return coaio::bench::simulate(latency_weight, traces);
}
