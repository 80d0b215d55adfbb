#include "bench/poll_policy/traces.h"

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace coaio::bench {
namespace {

constexpr std::size_t kWaits = 20'000;
constexpr double kAsleepUs = 5'000;

using Random = std::mt19937_64;
// The wait with this number, in microseconds.
using Generator = std::function<double(std::size_t, Random&)>;

Trace make_trace(std::string name, const Generator& wait_us) {
  Random random(1);
  Trace trace{.name = std::move(name), .waits = {}};
  trace.waits.reserve(kAsleep + kWaits);
  for (std::size_t i = 0; i < kAsleep + kWaits; ++i) {
    const double us = i < kAsleep ? kAsleepUs : wait_us(i - kAsleep, random);
    trace.waits.emplace_back(static_cast<std::chrono::nanoseconds::rep>(us * 1000));
  }
  return trace;
}

Trace fixed(double us) {
  return make_trace("fixed " + std::to_string(static_cast<int>(us)),
                    [us](std::size_t, Random&) { return us; });
}

Trace exponential(double mean_us) {
  return make_trace("exponential " + std::to_string(static_cast<int>(mean_us)),
                    [mean_us](std::size_t, Random& random) {
                      return std::exponential_distribution<double>(1 / mean_us)(random);
                    });
}

Trace after_long_waits(std::string name, const std::vector<std::int64_t>& waits_ns) {
  Trace trace{.name = std::move(name), .waits = {}};
  trace.waits.reserve(kAsleep + waits_ns.size());
  trace.waits.assign(kAsleep, std::chrono::nanoseconds(
                                  static_cast<std::chrono::nanoseconds::rep>(kAsleepUs * 1000)));
  for (const std::int64_t ns : waits_ns) {
    trace.waits.emplace_back(ns);
  }
  return trace;
}

double uniform(Random& random) { return std::uniform_real_distribution<double>(0, 1)(random); }

}  // namespace

std::vector<Trace> all_traces() {
  std::vector<Trace> traces;
  for (const double us : {5., 20., 25., 50., 200., 1000.}) {
    traces.push_back(fixed(us));
  }
  for (const double us : {3., 5., 20., 50., 200., 2000.}) {
    traces.push_back(exponential(us));
  }
  traces.push_back(make_trace("bursts of 8 x 3, then 1,000",
                              [](std::size_t i, Random&) { return i % 9 < 8 ? 3. : 1000.; }));
  traces.push_back(make_trace("bimodal 0.7 x 5, 0.3 x 300", [](std::size_t, Random& random) {
    return uniform(random) < 0.7 ? 5. : 300.;
  }));
  traces.push_back(make_trace("alternating 5, 100",
                              [](std::size_t i, Random&) { return i % 2 == 0 ? 5. : 100.; }));
  traces.push_back(make_trace("phases of 20 waits: 5, 500",
                              [](std::size_t i, Random&) { return i / 20 % 2 == 0 ? 5. : 500.; }));
  traces.push_back(make_trace("phases of 2,000 waits: 5, 500", [](std::size_t i, Random&) {
    return i / 2'000 % 2 == 0 ? 5. : 500.;
  }));
  traces.push_back(make_trace("heavy tail (Pareto 1.2, from 2)", [](std::size_t, Random& random) {
    return 2 / std::pow(1 - uniform(random), 1 / 1.2);
  }));
  traces.push_back(make_trace("idle 100,000", [](std::size_t, Random&) { return 100'000.; }));
  for (const RecordedTrace& recorded : recorded_traces()) {
    traces.push_back(after_long_waits("recorded " + recorded.name, recorded.waits));
  }
  return traces;
}

bool is_mixed(const Trace& trace) {
  return trace.name.starts_with("bursts") || trace.name.starts_with("bimodal");
}

std::vector<Trace> shared_cpu_traces() {
  std::vector<Trace> traces;
  for (const double us : {5., 20.}) {
    traces.push_back(fixed(us));
    traces.back().name += ", same CPU";
    traces.back().shared_cpu = true;
  }
  return traces;
}

Trace read_trace(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  std::vector<std::int64_t> waits;
  std::ifstream file(path);
  for (std::int64_t ns = 0; file >> ns;) {
    waits.push_back(ns);
  }
  return waits.empty() ? Trace{.name = std::move(name), .waits = {}}
                       : after_long_waits(std::move(name), waits);
}

}  // namespace coaio::bench
