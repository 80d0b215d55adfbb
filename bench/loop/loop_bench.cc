// What the loop itself costs: turns, bottom halves, wake-ups from another thread.
//
//   bazel run -c opt //bench/loop:loop_bench -- [turns|halves|wakes]...
//
// In nanoseconds, beside a named floor: the same work without coaio, in the same run. Ratios are
// medians over interleaved pairs with a 95 % bootstrap interval. Wake-ups want two CPUs that no
// other process uses.

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "bench/backends/ratio.h"
#include "bench/loop/coroutine_hop.h"
#include "bench/loop/wake.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"

namespace coaio::bench {
namespace {

constexpr Backend kBackends[] = {Backend::kPpoll, Backend::kEpoll, Backend::kIoUring};

bool available(Backend backend) { return select_monitor(backend).ok(); }

std::unique_ptr<Context> make(Backend backend) {
  std::unique_ptr<Context> context = *Context::create({.backend = backend});
  context->poll(false);
  context->poll(false);
  return context;
}

// What one of `times` calls takes.
template <typename Work>
double nanoseconds_of(int times, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) {
    work();
  }
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / times;
}

void print(absl::string_view what, absl::string_view where, const Ratio& ratio,
           absl::string_view floor) {
  std::printf("%-34.*s %-9.*s %9.1f %9.1f   %5.2f [%.2f, %.2f]  %.*s\n",
              static_cast<int>(what.size()), what.data(), static_cast<int>(where.size()),
              where.data(), ratio.subject, ratio.floor, ratio.value, ratio.low, ratio.high,
              static_cast<int>(floor.size()), floor.data());
  std::fflush(stdout);
}

// --- turns --------------------------------------------------------------------------------------

void print_turns() {
  constexpr int kTurns = 200'000;
  for (const Backend backend : kBackends) {
    if (!available(backend)) {
      continue;
    }
    const std::unique_ptr<Context> context = make(backend);
    const Ratio ratio = compare(
        [&] { return nanoseconds_of(kTurns, [&] { context->poll(false); }); },
        [&] { return nanoseconds_of(kTurns, [] { (void)std::chrono::steady_clock::now(); }); });
    print("empty turn", context->backend(), ratio, "a reading of the clock");
  }
}

// --- bottom halves ------------------------------------------------------------------------------

// A thousand, or one, each of which runs once in a turn.
class Halves {
 public:
  Halves(Context& context, int count, CoroutineHops::Queued queued)
      : context_(context), runs_(count), floor_(count, queued), queued_(queued) {
    for (int i = 0; i < count; ++i) {
      halves_.emplace_back(context, [this, i] { run(i); });
      halves_.back().schedule();
    }
    context.poll(false);
  }

  double nanoseconds_per_half() {
    return nanoseconds_of(times(),
                          [this] {
                            if (queued_ == CoroutineHops::Queued::kByOthers) {
                              for (BottomHalf& half : halves_) {
                                half.schedule();
                              }
                            }
                            context_.poll(false);
                          }) /
           static_cast<double>(runs_);
  }

  double nanoseconds_per_hop() {
    return nanoseconds_of(times(),
                          [this] {
                            if (queued_ == CoroutineHops::Queued::kByOthers) {
                              floor_.queue_all();
                            }
                            floor_.run_once();
                          }) /
           static_cast<double>(runs_);
  }

 private:
  int times() const { return 2'000'000 / runs_; }

  void run(int i) {
    if (queued_ == CoroutineHops::Queued::kByThemselves) {
      halves_[static_cast<std::size_t>(i)].schedule();
    }
  }

  Context& context_;
  int runs_;
  CoroutineHops floor_;
  CoroutineHops::Queued queued_;
  std::deque<BottomHalf> halves_;
};

void print_halves() {
  const std::unique_ptr<Context> context = make(Backend::kAuto);
  const auto print_one = [&](absl::string_view what, int count, CoroutineHops::Queued queued) {
    Halves halves(*context, count, queued);
    print(what, context->backend(),
          compare([&] { return halves.nanoseconds_per_half(); },
                  [&] { return halves.nanoseconds_per_hop(); }),
          "a bare coroutine through a queue");
  };
  print_one("a bottom half and its turn", 1, CoroutineHops::Queued::kByOthers);
  print_one("one of a batch of 1,000", 1'000, CoroutineHops::Queued::kByOthers);
  print_one("the same, scheduling itself", 1'000, CoroutineHops::Queued::kByThemselves);
}

// --- wake-ups -----------------------------------------------------------------------------------

void print_wakes() {
  if (!can_measure_wakes()) {
    std::printf("wakes are skipped: two threads that wake each other need two CPUs\n");
    return;
  }
  const auto print_against = [](absl::string_view what, Backend backend, WakePair& subject,
                                WakePair& floor) {
    print(what, make(backend)->backend(),
          compare([&] { return subject.nanoseconds_per_wake(); },
                  [&] { return floor.nanoseconds_per_wake(); }),
          floor.name());
  };
  for (const Backend backend : kBackends) {
    if (!available(backend)) {
      continue;
    }
    {
      const auto subject = make_context_wakes(backend, {.polls = true, .watches = false});
      const auto floor = make_atomic_wakes();
      print_against("wake while polling", backend, *subject, *floor);
    }
    {
      const auto subject = make_context_wakes(backend, {.polls = true, .watches = true});
      const auto floor =
          backend == Backend::kIoUring ? make_atomic_wakes() : make_probing_wakes(backend);
      print_against("wake while polling, one watch", backend, *subject, *floor);
    }
    {
      const auto subject = make_context_wakes(backend, {.polls = false, .watches = false});
      const auto floor = make_sleeping_wakes();
      print_against("wake from sleep", backend, *subject, *floor);
    }
  }
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  using namespace coaio::bench;
  const std::map<std::string, void (*)()> sections = {
      {"turns", print_turns}, {"halves", print_halves}, {"wakes", print_wakes}};
  std::printf("%-34s %-9s %9s %9s   %s\n", "ns", "back end", "coaio", "floor", "ratio");
  std::vector<std::string> wanted(argv + 1, argv + argc);
  if (wanted.empty()) {
    wanted = {"turns", "halves", "wakes"};
  }
  for (const std::string& name : wanted) {
    const auto section = sections.find(name);
    if (section == sections.end()) {
      std::fprintf(stderr, "loop_bench: no section \"%s\": use turns, halves or wakes\n",
                   name.c_str());
      return 2;
    }
    section->second();
  }
}
