// A loop that answers a partner which thinks between its requests: the latency that the partner
// sees and the CPU time that the loop takes, under one poll policy. Prints one JSON object.

#include <sys/eventfd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "bench/echo/exit.h"
#include "bench/echo/histogram.h"
#include "bench/poll_policy/arrivals.h"
#include "bench/poll_policy/link.h"
#include "bench/poll_policy/served_loop.h"
#include "bench/poll_policy/thread_clock.h"
#include "examples/command_line.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::string_view kUsage = R"(usage: live [--name=value ...]

  --backend=epoll|io_uring|ppoll   (default io_uring)
  --polling=POLICY                 off, fixed:MAX_US, grow_shrink:MAX_US, learned[:WEIGHT],
                                   learned_late[:WEIGHT] (default learned)
  --gives_way=yes|no               whether polling stops where it would hurt
  --share=PER_CENT                 of a CPU, that polling may take (default 100)
  --transport=tcp|eventfd          between the loop and its partner
  --think=ARRIVALS                 the partner, before each request: fixed:US, exponential:MEAN_US,
                                   bursts, bimodal, phases:MS (default fixed:10)
  --partner=spin|block             how it waits for the answer
  --beside=none|idle|slow          another descriptor: never ready, or every 2 ms
  --asleep=N                       requests 5 ms apart, before everything else (default 0)
  --warm_up=SECONDS --seconds=SECONDS --loop_cpu=CPU --partner_cpu=CPU
  --idle=yes                       no requests at all
  --record=FILE                    writes up to 3,000 waits of the loop, in nanoseconds
)";

struct Options {
  ContextOptions context;
  std::string transport;
  Arrivals think;
  bool spins = false;
  std::string beside;
  std::int64_t asleep = 0;
  nanoseconds warm_up{0};
  nanoseconds duration{0};
  int loop_cpu = 0;
  int partner_cpu = 0;
  bool idle = false;
  std::string record;
};

nanoseconds of_seconds(double seconds) {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
}

Options parse_options(int argc, char** argv) {
  examples::CommandLine arguments(argc, argv, kUsage);
  Options options;
  options.context.backend = arguments.value("backend", "io_uring", parse_backend);
  options.context.polling = arguments.value("polling", "learned", parse_poll_policy);
  options.context.polling_gives_way = arguments.choice("gives_way", {"yes", "no"}) == "yes";
  options.context.polling_share =
      static_cast<double>(arguments.integer("share", 100, 0, 100)) / 100;
  options.transport = arguments.choice("transport", {"tcp", "eventfd"});
  options.think = arguments.value("think", "fixed:10", parse_arrivals);
  options.spins = arguments.choice("partner", {"spin", "block"}) == "spin";
  options.beside = arguments.choice("beside", {"none", "idle", "slow"});
  options.asleep = arguments.integer("asleep", 0, 0, 1000);
  options.warm_up = of_seconds(arguments.seconds("warm_up", 0.1, 100));
  options.duration = of_seconds(arguments.seconds("seconds", 0.3, 100));
  options.loop_cpu = static_cast<int>(arguments.integer("loop_cpu", 1, 0, 1023));
  options.partner_cpu = static_cast<int>(arguments.integer("partner_cpu", 0, 0, 1023));
  options.idle = arguments.choice("idle", {"no", "yes"}) == "yes";
  options.record = arguments.text("record", "");
  arguments.finish();
  return options;
}

// --- the partner --------------------------------------------------------------------------------

class Partner {
 public:
  Partner(Options& options, const LinkEnd& link, const UniqueFd& slow)
      : options_(options), link_(link), slow_(slow) {}

  // Every second run begins with a policy that has learned to sleep.
  void wake_up_slowly() {
    for (std::int64_t i = 0; i < options_.asleep; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      request(Clock::now());
    }
  }

  // Thinks and asks, until it is late enough.
  void ask(nanoseconds duration) {
    for (const Clock::time_point end = Clock::now() + duration; answered_ < end;) {
      const nanoseconds time = options_.think(answered_ - begin_);
      spin_until(answered_ + time / 2);
      ring_slow_one();
      const Clock::time_point due = answered_ + time;
      spin_until(due);
      request(due);
    }
  }

  void begin_measurement() {
    latencies_ = Histogram();
    sum_ = nanoseconds(0);
  }

  std::uint64_t requests() const { return latencies_.count(); }
  double us(double fraction) const {
    return static_cast<double>(latencies_.percentile(fraction)) / 1000;
  }
  double mean_us() const {
    return requests() == 0
               ? 0
               : static_cast<double>(sum_.count()) / 1000 / static_cast<double>(requests());
  }

 private:
  // The latency counts from the time at which the request was due, also if it is sent later.
  void request(Clock::time_point due) {
    link_.send();
    while (!link_.receive()) {
      if (!options_.spins) {
        link_.wait();
      }
    }
    answered_ = Clock::now();
    latencies_.record((answered_ - due).count());
    sum_ += answered_ - due;
  }

  static void spin_until(Clock::time_point due) {
    while (Clock::now() < due) {
    }
  }

  // In the middle of a think time, so that it reaches the loop alone.
  void ring_slow_one() {
    constexpr auto kApart = std::chrono::milliseconds(2);
    if (slow_.valid() && answered_ - rung_ >= kApart) {
      eventfd_write(slow_.get(), 1);
      rung_ = answered_;
    }
  }

  Options& options_;
  const LinkEnd& link_;
  const UniqueFd& slow_;
  Histogram latencies_;
  nanoseconds sum_{0};
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point answered_ = begin_;
  Clock::time_point rung_ = begin_;
};

// --- the run ------------------------------------------------------------------------------------

struct Measured {
  double seconds = 0;
  double cpu_percent = 0;
};

Measured measure(Options& options, ServedLoop& loop, Partner& partner) {
  if (options.idle) {
    std::this_thread::sleep_for(options.warm_up);
  } else {
    partner.wake_up_slowly();
    partner.ask(options.warm_up);
  }
  partner.begin_measurement();
  loop.begin_record();
  const ThreadClock clock(loop.thread());
  const std::int64_t cpu_before = clock.now_ns();
  const Clock::time_point begin = Clock::now();
  if (options.idle) {
    std::this_thread::sleep_for(options.duration);
  } else {
    partner.ask(options.duration);
  }
  const std::int64_t cpu = clock.now_ns() - cpu_before;
  const std::chrono::duration<double> time = Clock::now() - begin;
  return {.seconds = time.count(),
          .cpu_percent = static_cast<double>(cpu) / (time.count() * 1e9) * 100};
}

void write_record(const std::string& path, const std::vector<nanoseconds>& waits) {
  std::ofstream file(path);
  for (const nanoseconds wait : waits) {
    file << wait.count() << '\n';
  }
}

void print(const Measured& measured, const Partner& partner, const ServedLoop& loop) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const ContextStats& stats = loop.stats();
  std::printf(
      "{\"requests\": %llu, \"seconds\": %.6f, \"cpu_percent\": %.3f, \"mean_us\": %.2f, "
      "\"p50_us\": %.2f, \"p99_us\": %.2f, \"largest_share\": %.4f, \"turns\": %llu, \"polls\": "
      "%llu, "
      "\"poll_hits\": %llu, \"polled_us\": %.1f, \"over_share\": %llu, \"over_quota\": %llu, "
      "\"crowded\": %llu, \"shared_cpu\": %llu}\n",
      number(partner.requests()), measured.seconds, measured.cpu_percent, partner.mean_us(),
      partner.us(0.5), partner.us(0.99), loop.largest_share(), number(stats.turns),
      number(stats.polls), number(stats.poll_hits),
      static_cast<double>(stats.polled.count()) / 1000, number(stats.guard.over_share),
      number(stats.guard.over_quota), number(stats.guard.crowded), number(stats.guard.shared_cpu));
}

int run(Options options) {
  constexpr std::size_t kRecorded = 3000;
  stay_on(options.partner_cpu);
  Link link = make_link(options.transport);
  std::vector<UniqueFd> beside;
  if (options.beside != "none") {
    beside.emplace_back(check_call(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
  }
  const UniqueFd none;
  Partner partner(options, link.partner, options.beside == "slow" ? beside.front() : none);
  ServedLoop loop(options.context, options.loop_cpu, link.loop, beside,
                  options.record.empty() ? 0 : kRecorded);
  const Measured measured = measure(options, loop, partner);
  loop.stop();
  if (!options.record.empty()) {
    write_record(options.record, loop.waits());
  }
  print(measured, partner, loop);
  return 0;
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  return coaio::bench::run(coaio::bench::parse_options(argc, argv));
}
