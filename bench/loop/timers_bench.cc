// Timers, beside those of libevent, libuv and Asio: arm, re-arm, cancel, fire.
//
//   tools/setup peers                     libevent-dev, libuv1-dev and libasio-dev
//   bazel run -c opt //bench/loop:timers_bench -- [pending]... [--peers=none]
//
// Six minutes for a thousand to a million on a quiet machine. Each operation is done to all
// pending timers, in random order but for arming; deadlines are random within 100 ms, and firing
// begins when all of them have passed. In nanoseconds per timer, medians and ranges over rounds in
// which the four take turns; a ratio is the best peer's time divided by coaio's in the same round,
// the median with its 95 % bootstrap interval. Only Asio reads a clock while arming.

#if !__has_include(<event2/event.h>) || !__has_include(<uv.h>) || !__has_include(<asio.hpp>)
#error "libevent-dev, libuv1-dev or libasio-dev is missing: tools/setup peers installs them"
#endif

#include <event2/event.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/backends/ratio.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "runtime/time/timer.h"
#include "runtime/time/timer_queue.h"

namespace coaio::bench {

using namespace internal;
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kSpread = std::chrono::milliseconds(100);
constexpr nanoseconds kLater = std::chrono::hours(1);

// The timers of one library.
class Timers {
 public:
  virtual ~Timers() = default;
  virtual const char* name() const = 0;
  // Delays count from this call.
  virtual void begin() = 0;
  virtual void arm(std::size_t index, nanoseconds delay) = 0;
  virtual void cancel(std::size_t index) = 0;
  // After cancelling: what is left of it for the loop to do.
  virtual void settle() {}
  // Until all that are due have fired.
  virtual void fire() = 0;
};

long long g_fired = 0;

class Ours final : public Timers {
 public:
  explicit Ours(std::size_t count) : context_(*Context::create()), timers_(count) {
    context_->poll(false);
    for (std::optional<Timer>& timer : timers_) {
      timer.emplace(*context_, [] { ++g_fired; });
    }
  }
  const char* name() const override { return "coaio"; }
  void begin() override { now_ = context_->now(); }
  void arm(std::size_t index, nanoseconds delay) override { timers_[index]->arm_at(now_ + delay); }
  void cancel(std::size_t index) override { timers_[index]->cancel(); }
  void fire() override { context_->poll(false); }

 private:
  std::unique_ptr<Context> context_;
  TimePoint now_;
  std::vector<std::optional<Timer>> timers_;
};

class Libevent final : public Timers {
 public:
  explicit Libevent(std::size_t count) : base_(event_base_new()) {
    for (std::size_t i = 0; i < count; ++i) {
      events_.push_back(
          evtimer_new(base_, [](evutil_socket_t, short, void*) { ++g_fired; }, nullptr));
    }
  }
  ~Libevent() override {
    for (event* one : events_) {
      event_free(one);
    }
    event_base_free(base_);
  }
  const char* name() const override { return "libevent"; }
  void begin() override {}
  void arm(std::size_t index, nanoseconds delay) override {
    const timeval time{.tv_sec = delay.count() / 1'000'000'000,
                       .tv_usec = delay.count() / 1000 % 1'000'000};
    event_add(events_[index], &time);
  }
  void cancel(std::size_t index) override { event_del(events_[index]); }
  void fire() override { event_base_loop(base_, EVLOOP_NONBLOCK); }

 private:
  event_base* base_;
  std::vector<event*> events_;
};

class Libuv final : public Timers {
 public:
  explicit Libuv(std::size_t count) : timers_(count) {
    uv_loop_init(&loop_);
    for (uv_timer_t& timer : timers_) {
      uv_timer_init(&loop_, &timer);
    }
  }
  ~Libuv() override {
    for (uv_timer_t& timer : timers_) {
      uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    }
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  const char* name() const override { return "libuv"; }
  void begin() override { uv_update_time(&loop_); }
  void arm(std::size_t index, nanoseconds delay) override {
    uv_timer_start(
        &timers_[index], [](uv_timer_t*) { ++g_fired; },
        static_cast<std::uint64_t>(delay.count() / 1'000'000), 0);
  }
  void cancel(std::size_t index) override { uv_timer_stop(&timers_[index]); }
  void fire() override { uv_run(&loop_, UV_RUN_NOWAIT); }

 private:
  uv_loop_t loop_{};
  std::vector<uv_timer_t> timers_;
};

class Asio final : public Timers {
 public:
  explicit Asio(std::size_t count) {
    timers_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      timers_.emplace_back(io_);
    }
  }
  const char* name() const override { return "asio"; }
  void begin() override { now_ = std::chrono::steady_clock::now(); }
  void arm(std::size_t index, nanoseconds delay) override {
    timers_[index].expires_at(now_ + delay);
    timers_[index].async_wait([](const asio::error_code& error) { g_fired += error ? 0 : 1; });
  }
  void cancel(std::size_t index) override { timers_[index].cancel(); }
  void settle() override { run(); }
  void fire() override { run(); }

 private:
  void run() {
    io_.restart();
    io_.poll();
  }

  asio::io_context io_{1};
  std::chrono::steady_clock::time_point now_;
  std::vector<asio::steady_timer> timers_;
};

enum Operation { kArm, kRearm, kCancel, kFire, kOperations };
constexpr std::array<const char*, kOperations> kNames = {"arm", "re-arm", "cancel", "fire"};
using Times = std::array<double, kOperations>;

double since(std::chrono::steady_clock::time_point begin, std::size_t count) {
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / static_cast<double>(count);
}

// One round of everything, for one library.
Times measure(Timers& timers, const std::vector<nanoseconds>& delays,
              const std::vector<std::size_t>& order) {
  const std::size_t count = delays.size();
  Times times{};
  const auto timed = [&](Operation operation, auto work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    times[operation] = since(begin, count);
  };
  timers.begin();
  timed(kArm, [&] {
    for (std::size_t i = 0; i < count; ++i) {
      timers.arm(i, kLater + delays[i]);
    }
  });
  timed(kRearm, [&] {
    for (const std::size_t i : order) {
      timers.arm(i, 2 * kLater + delays[count - 1 - i]);
    }
    timers.settle();
  });
  timed(kCancel, [&] {
    for (const std::size_t i : order) {
      timers.cancel(i);
    }
    timers.settle();
  });
  timers.begin();
  for (std::size_t i = 0; i < count; ++i) {
    timers.arm(i, delays[i]);
  }
  std::this_thread::sleep_for(kSpread + std::chrono::milliseconds(5));
  g_fired = 0;
  timed(kFire, [&] {
    while (g_fired < static_cast<long long>(count)) {
      timers.fire();
    }
  });
  return times;
}

// --- against peers ------------------------------------------------------------------------------

void print_against_peers(std::size_t count, bool peers) {
  constexpr int kRounds = 15;
  std::mt19937_64 random(count);
  std::vector<nanoseconds> delays(count);
  std::generate(delays.begin(), delays.end(), [&] {
    return nanoseconds(random() % static_cast<std::uint64_t>(kSpread.count()));
  });
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);

  std::vector<std::unique_ptr<Timers>> contenders;
  contenders.push_back(std::make_unique<Ours>(count));
  if (peers) {
    contenders.push_back(std::make_unique<Libevent>(count));
    contenders.push_back(std::make_unique<Libuv>(count));
    contenders.push_back(std::make_unique<Asio>(count));
  }
  std::vector<std::array<std::vector<double>, kOperations>> times(contenders.size());
  std::array<std::vector<double>, kOperations> ratios;
  for (int round = 0; round < kRounds; ++round) {
    Times best{};
    Times ours{};
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      if (isatty(STDERR_FILENO)) {
        std::fprintf(stderr, "\r%zu pending, round %d of %d: %-10s\r", count, round + 1, kRounds,
                     contenders[i]->name());
      }
      const Times one = measure(*contenders[i], delays, order);
      for (int operation = 0; operation < kOperations; ++operation) {
        times[i][operation].push_back(one[operation]);
        best[operation] = i <= 1 ? one[operation] : std::min(best[operation], one[operation]);
      }
      ours = i == 0 ? one : ours;
    }
    for (int operation = 0; operation < kOperations; ++operation) {
      ratios[operation].push_back(best[operation] / ours[operation]);
    }
  }
  std::printf("\n%zu pending, %d rounds%*s", count, kRounds, 4, "");
  for (const char* name : kNames) {
    std::printf(" %20s", name);
  }
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    std::printf("\n%-28s", contenders[i]->name());
    for (const std::vector<double>& one : times[i]) {
      const auto [low, high] = std::minmax_element(one.begin(), one.end());
      std::printf(" %6.0f (%5.0f-%5.0f)", median(one), *low, *high);
    }
  }
  std::printf("\n%-28s", "best peer / coaio");
  for (const std::vector<double>& one : ratios) {
    const Estimate ratio = median_of_pairs(one);
    std::printf(" %6.1f [%5.1f-%5.1f]", ratio.value, ratio.low, ratio.high);
  }
  std::printf("\n");
  std::fflush(stdout);
}

// --- single operations --------------------------------------------------------------------------

// Each operation by itself, growth included, beside a reading of the clock by itself: what of the
// maxima is the machine's. A queue that begins empty.
void print_worst(std::size_t count) {
  std::array<std::vector<float>, 5> taken;  // arm, re-arm, cancel, fire, nothing
  constexpr std::array<const char*, 5> kColumns = {"arm", "re-arm", "cancel", "fire", "(clock)"};
  struct Bare : TimerNode {
    Bare() : TimerNode([](TimerNode&) { ++g_fired; }) {}
  };
  std::mt19937_64 random(1);
  std::vector<Bare> nodes(count);
  TimerQueue queue;
  const auto timed = [&](std::vector<float>& column, auto work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    column.push_back(static_cast<float>((std::chrono::steady_clock::now() - begin).count()));
  };
  for (std::vector<float>& column : taken) {
    column.reserve(2 * count);
    std::fill_n(std::back_inserter(column), 2 * count, 0.0F);  // so that its pages are there
    column.clear();
  }
  const auto time_of = [&] { return TimePoint(nanoseconds(random() % 1'000'000'000)); };
  for (Bare& node : nodes) {
    timed(taken[0], [&, at = time_of()] { queue.arm(node, at); });
    timed(taken[4], [] {});
  }
  for (Bare& node : nodes) {
    timed(taken[1], [&, at = time_of()] { queue.arm(node, at); });
  }
  for (std::size_t i = 0; i < count; i += 2) {
    timed(taken[2], [&] { queue.cancel(nodes[i]); });
  }
  while (queue.size() != 0) {
    timed(taken[3], [&] { queue.fire_due(queue.next_deadline()); });
  }
  std::printf("\none by one, %zu pending: ns at p50, p99.9 and worst\n", count);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    std::sort(taken[i].begin(), taken[i].end());
    const auto at = [&](double quantile) {
      return taken[i]
                  [static_cast<std::size_t>(quantile * static_cast<double>(taken[i].size() - 1))];
    };
    std::printf("%-10s %8.0f %8.0f %10.0f\n", kColumns[i], at(0.5), at(0.999), at(1));
  }
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  std::vector<std::size_t> counts;
  bool peers = true;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--peers=none") {
      peers = false;
      continue;
    }
    const unsigned long long count = std::strtoull(argv[i], nullptr, 10);
    if (count == 0) {
      std::fprintf(stderr,
                   "timers_bench: \"%s\" is no number of timers: use for example 1000 1000000\n",
                   argv[i]);
      return 2;
    }
    counts.push_back(count);
  }
  if (counts.empty()) {
    counts = {1'000, 10'000, 100'000, 1'000'000};
  }
  std::printf("bytes per pending timer: %zu in the node and 16 in the queue\n",
              sizeof(coaio::internal::TimerNode));
  std::fflush(stdout);
  for (const std::size_t count : counts) {
    coaio::bench::print_against_peers(count, peers);
  }
  coaio::bench::print_worst(counts.back());
}
