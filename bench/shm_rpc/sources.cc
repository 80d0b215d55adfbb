#include <sys/eventfd.h>

#include <atomic>
#include <memory>

#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "bench/shm_rpc/round_trips.h"
#include "runtime/context.h"
#include "runtime/poll_source.h"
#include "runtime/scoped_poll_source.h"

namespace coaio::bench {
namespace {

// A number in memory, and the doorbell of the thread that waits for it to change.
struct alignas(64) Number {
  std::atomic<int> value{0};
  std::atomic<bool> sleeps{true};
  UniqueFd doorbell{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  // Both operations are seq_cst and pair with poll_end() and the poll() after it: either this
  // thread sees that the other one sleeps, or the other one sees the number.
  void set(int to) {
    value.store(to, std::memory_order_seq_cst);
    if (sleeps.load(std::memory_order_seq_cst)) {
      eventfd_write(doorbell.get(), 1);
    }
  }
};

// Answers each change of its number by a change of the partner's.
class Player final : public PollSource {
 public:
  Player(Number& mine, Number& partners)
      : PollSource(mine.doorbell.get()), mine_(mine), partners_(partners) {}

  bool poll() override { return mine_.value.load(std::memory_order_seq_cst) != seen_; }
  void poll_begin() override { mine_.sleeps.store(false, std::memory_order_relaxed); }
  void poll_end() override { mine_.sleeps.store(true, std::memory_order_seq_cst); }
  void on_ready() override {
    done = ++seen_ == kRounds;
    if (watch_ == nullptr) {
      partners_.set(seen_);
      return;
    }
    watch_->round();
    if (!done) {
      partners_.set(seen_ + 1);
    }
  }

  // Plays until the last change of its number. The player with a stopwatch begins.
  void play(Context& context, Stopwatch* watch) {
    watch_ = watch;
    const ScopedPollSource added(context, *this);
    if (watch_ != nullptr) {
      partners_.set(1);
    }
    context.run_until(done);
  }

  bool done = false;

 private:
  Number& mine_;
  Number& partners_;
  int seen_ = 0;
  Stopwatch* watch_ = nullptr;
};

}  // namespace

double source_round_trip(Backend backend) {
  const std::unique_ptr<Context> asker = *Context::create(never_sleeping(backend));
  const std::unique_ptr<Context> server = *Context::create(never_sleeping(backend));
  Number there;
  Number back;
  return time_round_trips([&](Stopwatch& watch) { Player(back, there).play(*asker, &watch); },
                          [&] { Player(there, back).play(*server, nullptr); });
}

}  // namespace coaio::bench
