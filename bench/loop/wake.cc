#include "bench/loop/wake.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "backends/check.h"
#include "backends/unique_fd.h"
#include "bench/shm_rpc/two_cpus.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {

using namespace internal;
namespace {

constexpr int kFastRounds = 20'000;
constexpr int kSlowRounds = 1'000;

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set,
                         &set);  // refused in some containers: slower, not wrong
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Chosen once, before this thread is pinned: from then on it could use one CPU only.
const std::optional<TwoCpus>& two_cpus() {
  static const std::optional<TwoCpus> cpus = choose_two_cpus();
  return cpus;
}

// Runs `serve` on one CPU and `ask` on another; each round is two wakes.
double nanoseconds_per_wake(int rounds, const std::function<void()>& ask,
                            const std::function<void()>& serve) {
  check(two_cpus().has_value(), "two threads that wake each other need two CPUs");
  std::atomic<bool> ready{false};
  std::thread server([&] {
    pin_to(two_cpus()->second);
    ready = true;
    serve();
  });
  pin_to(two_cpus()->first);
  while (!ready) {
  }
  const auto begin = std::chrono::steady_clock::now();
  ask();
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  server.join();
  return taken.count() / rounds / 2;
}

// --- contexts -----------------------------------------------------------------------------------

// What the two write is kept apart, as in two programs that know each other's bottom half.
struct alignas(64) Player {
  Player(Backend backend, ContextWakes options) {
    ContextOptions context_options{.backend = backend};
    if (options.polls) {
      context_options.polling = PollFixed{.max = std::chrono::seconds(20)};
      context_options.polling_gives_way = false;
    }
    context = *Context::create(context_options);
    if (options.watches) {
      event = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      context->set_fd_handler(event.get(), {.read = [] {}, .write = nullptr});
    }
  }

  void play() {
    done = false;
    context->run_until(done);
  }

  UniqueFd event;
  std::unique_ptr<Context> context;
  std::unique_ptr<BottomHalf> ball;
  alignas(64) bool done = false;
  int rounds = 0;
};

class ContextPair final : public WakePair {
 public:
  ContextPair(Backend backend, ContextWakes options)
      : backend_(backend), options_(options), rounds_(options.polls ? kFastRounds : kSlowRounds) {}

  absl::string_view name() const override { return "coaio"; }

  // New contexts each time, for each belongs to the thread that first runs it.
  double nanoseconds_per_wake() override {
    Player asker(backend_, options_);
    Player server(backend_, options_);
    asker.ball = std::make_unique<BottomHalf>(*asker.context, [&] {
      if (asker.rounds++ < rounds_) {
        server.ball->schedule();
      } else {
        asker.done = true;
      }
    });
    server.ball = std::make_unique<BottomHalf>(*server.context, [&] {
      server.done = ++server.rounds == rounds_;
      asker.ball->schedule();
    });
    const double result = bench::nanoseconds_per_wake(
        rounds_,
        [&] {
          asker.ball->schedule();
          asker.play();
        },
        [&] { server.play(); });
    asker.ball.reset();
    server.ball.reset();
    return result;
  }

 private:
  Backend backend_;
  ContextWakes options_;
  int rounds_;
};

// --- floors -------------------------------------------------------------------------------------

// Two threads that hand a number back and forth; each looks for its own with `wait`.
class NumberPair final : public WakePair {
 public:
  using Probe = std::function<void()>;

  NumberPair(absl::string_view name, Probe probe) : name_(name), probe_(std::move(probe)) {}

  absl::string_view name() const override { return name_; }

  double nanoseconds_per_wake() override {
    alignas(64) std::atomic<int> there{0};
    alignas(64) std::atomic<int> back{0};
    const auto wait_for = [this](const std::atomic<int>& number, int value) {
      while (number.load(std::memory_order_acquire) != value) {
        if (probe_ != nullptr) {
          probe_();
        }
        relax();
      }
    };
    return bench::nanoseconds_per_wake(
        kFastRounds,
        [&] {
          for (int i = 1; i <= kFastRounds; ++i) {
            there.store(i, std::memory_order_release);
            wait_for(back, i);
          }
        },
        [&] {
          for (int i = 1; i <= kFastRounds; ++i) {
            wait_for(there, i);
            back.store(i, std::memory_order_release);
          }
        });
  }

 private:
  absl::string_view name_;
  Probe probe_;
};

class EventPair final : public WakePair {
 public:
  absl::string_view name() const override { return "a read of an eventfd"; }

  double nanoseconds_per_wake() override {
    const auto ask = [](const UniqueFd& mine, const UniqueFd& theirs, bool first) {
      for (int i = 0; i < kSlowRounds; ++i) {
        std::uint64_t one = 1;
        const bool sent = !first || write(theirs.get(), &one, sizeof one) == sizeof one;
        const bool heard = read(mine.get(), &one, sizeof one) == sizeof one;
        one = 1;
        const bool answered = first || write(theirs.get(), &one, sizeof one) == sizeof one;
        check(sent && heard && answered, "an eventfd fails");
      }
    };
    return bench::nanoseconds_per_wake(
        kSlowRounds, [&] { ask(asker_, server_, true); }, [&] { ask(server_, asker_, false); });
  }

 private:
  UniqueFd asker_{eventfd(0, EFD_CLOEXEC)};
  UniqueFd server_{eventfd(0, EFD_CLOEXEC)};
};

}  // namespace

bool can_measure_wakes() { return two_cpus().has_value(); }

std::unique_ptr<WakePair> make_context_wakes(Backend backend, ContextWakes options) {
  return std::make_unique<ContextPair>(backend, options);
}

std::unique_ptr<WakePair> make_atomic_wakes() {
  return std::make_unique<NumberPair>("a thread that spins on an atomic", nullptr);
}

// Each thread looks at two descriptors, as a context does: its own for wake-ups, and the one that
// it watches.
std::unique_ptr<WakePair> make_probing_wakes(Backend backend) {
  struct Watched {
    UniqueFd a{eventfd(0, EFD_CLOEXEC)};
    UniqueFd b{eventfd(0, EFD_CLOEXEC)};
    UniqueFd set{epoll_create1(EPOLL_CLOEXEC)};
  };
  const auto watched = std::make_shared<Watched>();
  if (backend == Backend::kPpoll) {
    return std::make_unique<NumberPair>("an atomic, and ppoll() each time", [watched] {
      pollfd entries[2] = {{watched->a.get(), POLLIN, 0}, {watched->b.get(), POLLIN, 0}};
      const timespec now{};
      ppoll(entries, 2, &now, nullptr);
    });
  }
  for (const UniqueFd* fd : {&watched->a, &watched->b}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd->get()}};
    check(epoll_ctl(watched->set.get(), EPOLL_CTL_ADD, fd->get(), &event) == 0, "epoll_ctl fails");
  }
  return std::make_unique<NumberPair>("an atomic, and epoll_wait() each time", [watched] {
    epoll_event events[16];
    epoll_wait(watched->set.get(), events, 16, 0);
  });
}

std::unique_ptr<WakePair> make_sleeping_wakes() { return std::make_unique<EventPair>(); }

}  // namespace coaio::bench
