// How late a loop is for its own timers, and what CPU time it takes for that. Prints one JSON
// object.

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "bench/echo/exit.h"
#include "bench/echo/histogram.h"
#include "bench/poll_policy/thread_clock.h"
#include "examples/command_line.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"

namespace coaio::bench {
namespace {

using std::chrono::nanoseconds;

constexpr std::string_view kUsage = R"(usage: sleep_bench [--name=value ...]

  --waiting=default_slack   sleeps, with the timer slack that a thread begins with
            slack_1ns       sleeps, with a slack of 1 ns
            tail            the same, and polls through the last stretch (learned polling)
            spin            never sleeps
  --sleep=US                for how long (default 100)
  --seconds=SECONDS         of the measurement (default 0.3), after a tenth of it
  --backend=epoll|io_uring|ppoll   (default io_uring)
  --cpu=CPU                 (default 1)
)";

struct Options {
  ContextOptions context;
  nanoseconds sleep{0};
  nanoseconds duration{0};
  int cpu = 0;
};

ContextOptions waiting_as(std::string_view text) {
  ContextOptions options;
  if (text == "default_slack") {
    options.timer_slack = std::nullopt;
  } else if (text == "tail") {
    options.polling = PollLearned{};
  } else if (text == "spin") {
    options.polling = PollFixed{.max = std::chrono::hours(1)};
    options.polling_gives_way = false;
  }
  return options;
}

Options parse_options(int argc, char** argv) {
  examples::CommandLine arguments(argc, argv, kUsage);
  Options options;
  options.context =
      waiting_as(arguments.choice("waiting", {"default_slack", "slack_1ns", "tail", "spin"}));
  options.context.backend = arguments.value("backend", "io_uring", parse_backend);
  options.sleep = std::chrono::microseconds(arguments.integer("sleep", 100, 1, 1'000'000));
  options.duration = std::chrono::duration_cast<nanoseconds>(
      std::chrono::duration<double>(arguments.seconds("seconds", 0.3, 100)));
  options.cpu = static_cast<int>(arguments.integer("cpu", 1, 0, 1023));
  arguments.finish();
  return options;
}

double cpu_seconds() {
  rusage usage{};
  check_call(getrusage(RUSAGE_THREAD, &usage), "getrusage");
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Sleeps one time after another.
Histogram sleep_for(Context& context, nanoseconds sleep, nanoseconds duration) {
  Histogram lateness;
  TimePoint deadline;
  Timer timer(context,
              [&] { lateness.record((std::chrono::steady_clock::now() - deadline).count()); });
  for (const TimePoint end = context.now() + duration; context.now() < end;) {
    deadline = context.now() + sleep;
    timer.arm_at(deadline);
    while (timer.pending()) {
      context.poll(true);
    }
  }
  return lateness;
}

int run(const Options& options) {
  stay_on(options.cpu);
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options.context);
  if (!context.ok()) {
    exit_with(kExitUnavailable, std::string(context.status().message()));
  }
  sleep_for(**context, options.sleep, options.duration / 10);
  const TimePoint begin = std::chrono::steady_clock::now();
  const double cpu_before = cpu_seconds();
  const Histogram lateness = sleep_for(**context, options.sleep, options.duration);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  const auto us = [&](double fraction) {
    return static_cast<double>(lateness.percentile(fraction)) / 1000;
  };
  std::printf(
      "{\"sleeps\": %llu, \"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, "
      "\"cpu_percent\": %.2f}\n",
      static_cast<unsigned long long>(lateness.count()), us(0.5), us(0.9), us(0.99),
      (cpu_seconds() - cpu_before) / time.count() * 100);
  return 0;
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  return coaio::bench::run(coaio::bench::parse_options(argc, argv));
}
