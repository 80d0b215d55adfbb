#include "runtime/time/timer_queue.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "runtime/time/clock.h"
#include "tests/support/abort_message.h"
#include "tests/support/sanitized.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr TimePoint at(std::int64_t ns) { return TimePoint(nanoseconds(ns)); }

struct Probe : TimerNode {
  Probe(int i, std::vector<int>& l) : TimerNode(&Probe::call), id(i), log(l) {}
  static void call(TimerNode& node) {
    auto& self = static_cast<Probe&>(node);
    self.log.push_back(self.id);
    if (self.then != nullptr) {
      self.then();
    }
  }

  int id;
  std::vector<int>& log;
  std::function<void()> then;
};

// Timers with numbers, and what has fired.
struct Bench {
  explicit Bench(int count) {
    for (int i = 0; i < count; ++i) {
      timers.push_back(std::make_unique<Probe>(i, fired));
    }
  }
  ~Bench() {
    for (const auto& timer : timers) {
      queue.cancel(*timer);
    }
  }

  Probe& operator[](int id) { return *timers[static_cast<std::size_t>(id)]; }
  std::vector<int> fire(TimePoint now) {
    fired.clear();
    queue.fire_due(now);
    return fired;
  }

  TimerQueue queue;
  std::vector<std::unique_ptr<Probe>> timers;
  std::vector<int> fired;
};

using Ids = std::vector<int>;

TEST_CASE("timers fire in the order of their deadlines") {
  Bench bench(3);
  bench.queue.arm(bench[0], at(30));
  bench.queue.arm(bench[1], at(10));
  bench.queue.arm(bench[2], at(20));
  CHECK(bench.fire(at(100)) == Ids{1, 2, 0});
}

TEST_CASE("equal deadlines fire in the order of arming, and re-arming goes to the end") {
  Bench bench(4);
  for (int i = 0; i < 4; ++i) {
    bench.queue.arm(bench[i], at(10));
  }
  bench.queue.arm(bench[1], at(10));
  CHECK(bench.fire(at(10)) == Ids{0, 2, 3, 1});
}

TEST_CASE("a timer never fires early") {
  Bench bench(1);
  bench.queue.arm(bench[0], at(10));
  CHECK(bench.fire(at(9)).empty());
  CHECK(bench.fire(at(10)) == Ids{0});
}

TEST_CASE("the next deadline is exact, and that of an empty queue is never") {
  Bench bench(2);
  CHECK(bench.queue.next_deadline() == TimePoint::max());
  bench.queue.arm(bench[0], at(20));
  bench.queue.arm(bench[1], at(10));
  CHECK(bench.queue.next_deadline() == at(10));
  bench.queue.cancel(bench[1]);
  CHECK(bench.queue.next_deadline() == at(20));
  bench.queue.arm(bench[0], at(5));
  CHECK(bench.queue.next_deadline() == at(5));
}

TEST_CASE("a cancelled timer does not fire, and cancelling again says so") {
  Bench bench(1);
  bench.queue.arm(bench[0], at(10));
  CHECK(bench.queue.cancel(bench[0]));
  CHECK(!bench.queue.cancel(bench[0]));
  CHECK(bench.fire(at(10)).empty());
}

TEST_CASE("a timer is idle when its callback runs, which may arm it again") {
  Bench bench(1);
  bool idle = false;
  bench[0].then = [&] {
    idle = !bench[0].pending();
    bench.queue.arm(bench[0], at(20));
  };
  bench.queue.arm(bench[0], at(10));
  CHECK(bench.fire(at(10)) == Ids{0});
  CHECK(idle);
  CHECK(bench.queue.next_deadline() == at(20));
}

TEST_CASE("a callback may cancel a timer that is due in the same run") {
  Bench bench(3);
  bench[0].then = [&] { bench.queue.cancel(bench[1]); };
  for (int i = 0; i < 3; ++i) {
    bench.queue.arm(bench[i], at(10));
  }
  CHECK(bench.fire(at(10)) == Ids{0, 2});
}

TEST_CASE("a callback may free its own timer, and others") {
  Bench bench(3);
  bench[0].then = [&] {
    bench.queue.cancel(bench[2]);
    bench.timers.pop_back();
    auto self = std::move(bench.timers[0]);
  };
  for (int i = 0; i < 3; ++i) {
    bench.queue.arm(bench[i], at(10));
  }
  CHECK(bench.fire(at(10)) == Ids{0, 1});
  bench.timers.erase(bench.timers.begin());
}

TEST_CASE("a timer that always re-arms itself in the past lets the run end, and the others fire") {
  Bench bench(3);
  bench[0].then = [&] { bench.queue.arm(bench[0], TimePoint::min()); };
  for (int i = 0; i < 3; ++i) {
    bench.queue.arm(bench[i], at(i));
  }
  CHECK(bench.fire(at(10)) == Ids{0, 1, 2});
  CHECK(bench.fire(at(10)) == Ids{0});
}

TEST_CASE("a timer that is armed in a callback for a time that has come keeps its deadline") {
  Bench bench(5);
  bench[0].then = [&] {
    bench.queue.arm(bench[1], at(3));
    bench.queue.arm(bench[2], at(2));
    bench.queue.arm(bench[3], at(2));
    CHECK(bench.queue.size() == 4);
    CHECK(bench.queue.next_deadline() == at(2));
    int visited = 0;
    bench.queue.for_each([&](const TimerNode&) { ++visited; });
    CHECK(visited == 4);
  };
  bench.queue.arm(bench[0], at(0));
  bench.queue.arm(bench[4], at(9));
  CHECK(bench.fire(at(10)) == Ids{0, 4});
  CHECK(bench.fire(at(1)).empty());  // of a clock that was set back
  CHECK(bench.fire(at(2)) == Ids{2, 3});
  CHECK(bench.fire(at(3)) == Ids{1});
}

TEST_CASE(
    "a timer that waits for the end of a run can be moved, cancelled and fired by a nested one") {
  Bench bench(5);
  bench[0].then = [&] {
    for (int i = 1; i < 5; ++i) {
      bench.queue.arm(bench[i], at(i));
    }
    bench.queue.arm(bench[1], at(20));
    bench.queue.arm(bench[4], at(0));
    CHECK(bench.queue.cancel(bench[2]));
    CHECK(!bench.queue.cancel(bench[2]));
    CHECK(bench.queue.size() == 3);
    bench.queue.fire_due(at(10));
  };
  bench.queue.arm(bench[0], at(0));
  CHECK(bench.fire(at(10)) == Ids{0, 4, 3});
  CHECK(bench.queue.next_deadline() == at(20));
}

TEST_CASE("the queue grows while timers wait for the end of a run") {
  constexpr int kTimers = 2000;
  Bench bench(kTimers);
  bench[0].then = [&] {
    for (int i = 1; i < kTimers; ++i) {
      bench.queue.arm(bench[i], at(i % 2 == 0 ? i : 10'000 + i));
    }
  };
  bench.queue.arm(bench[0], at(0));
  CHECK(bench.fire(at(5'000)) == Ids{0});
  Ids even;
  for (int i = 2; i < kTimers; i += 2) {
    even.push_back(i);
  }
  CHECK(bench.fire(at(5'000)) == even);
  CHECK(bench.queue.size() == kTimers / 2);
}

TEST_CASE("a deadline in the past is an ordinary one") {
  Bench bench(2);
  bench.queue.arm(bench[0], at(-10));
  bench.queue.arm(bench[1], TimePoint::min());
  CHECK(bench.fire(at(0)) == Ids{1, 0});
}

TEST_CASE("a deadline at the end of time sorts last and is never due") {
  Bench bench(2);
  bench.queue.arm(bench[0], TimePoint::max());
  bench.queue.arm(bench[1], TimePoint::max() - 1ns);
  CHECK(bench.fire(TimePoint::max() - 1ns) == Ids{1});
}

TEST_CASE("a nested run fires what the outer one has not yet come to") {
  Bench bench(3);
  bench[0].then = [&] { bench.queue.fire_due(at(10)); };
  for (int i = 0; i < 3; ++i) {
    bench.queue.arm(bench[i], at(i));
  }
  CHECK(bench.fire(at(10)) == Ids{0, 1, 2});
}

TEST_CASE("a timer that dies while it is armed is a checked error") {
  CHECK(abort_message([] {
          TimerQueue queue;
          std::vector<int> log;
          Probe probe(0, log);
          queue.arm(probe, at(1));
        }).find("cancel it before") != std::string::npos);
}

// --- against an ordered multimap ----------------------------------------------------------------

// The plainest thing that keeps equal deadlines in the order of arming.
class Model {
 public:
  void arm(int id, TimePoint deadline) {
    cancel(id);
    if (deadline <= firing_at_) {
      held_.emplace_back(id, deadline);
    } else {
      where_[id] = pending_.emplace(deadline, id);
    }
  }
  bool cancel(int id) {
    if (std::erase_if(held_, [&](const auto& held) { return held.first == id; }) != 0) {
      return true;
    }
    const auto entry = where_.find(id);
    if (entry == where_.end()) {
      return false;
    }
    pending_.erase(entry->second);
    where_.erase(entry);
    return true;
  }
  TimePoint next() const { return pending_.empty() ? TimePoint::max() : pending_.begin()->first; }
  std::size_t size() const { return pending_.size(); }

  template <typename Then>
  Ids fire_due(TimePoint now, Then then) {
    Ids fired;
    firing_at_ = now;
    while (next() <= now) {
      const int id = pending_.begin()->second;
      cancel(id);
      fired.push_back(id);
      then(id, fired.size());
    }
    // What was armed meanwhile for a time that had come, in the order of arming.
    firing_at_ = TimePoint::min();
    for (const auto& [id, deadline] : std::exchange(held_, {})) {
      arm(id, deadline);
    }
    return fired;
  }

 private:
  std::multimap<TimePoint, int> pending_;
  std::map<int, std::multimap<TimePoint, int>::iterator> where_;
  std::vector<std::pair<int, TimePoint>> held_;
  TimePoint firing_at_ = TimePoint::min();
};

// What the callback of a timer does, decided by its number and its turn: re-arms itself or another,
// or cancels another.
template <typename Queue>
void act(Queue& queue, int id, std::size_t turn, int count, TimePoint now) {
  const auto salt = static_cast<unsigned>(id) * 2654435761U + static_cast<unsigned>(turn) * 40503U;
  const int other = static_cast<int>(salt % static_cast<unsigned>(count));
  switch (salt / 7 % 6) {
    case 0:
      queue.arm(id, now + nanoseconds(salt % 50));
      break;
    case 1:
      queue.arm(other, now - nanoseconds(salt % 9));
      break;
    case 2:
      queue.cancel(other);
      break;
    default:
      break;
  }
}

struct ById {
  Bench& bench;
  void arm(int id, TimePoint deadline) { bench.queue.arm(bench[id], deadline); }
  bool cancel(int id) { return bench.queue.cancel(bench[id]); }
};

void compare_with_model(std::uint32_t seed) {
  constexpr int kTimers = 300;
  constexpr int kOperations = 4000;
  std::mt19937 random(seed);
  const auto any_of = [&](std::uint32_t n) { return static_cast<int>(random() % n); };
  Bench bench(kTimers);
  ById real{bench};
  Model model;
  std::int64_t now = 0;
  // Some sequences have many ties, some have none.
  const std::uint32_t spread = seed % 3 == 0 ? 5 : seed % 3 == 1 ? 1000 : 1u << 31;
  for (int i = 0; i < kTimers; ++i) {
    bench[i].then = [&, i] { act(real, i, bench.fired.size(), kTimers, at(now)); };
  }
  for (int step = 0; step < kOperations; ++step) {
    const int id = any_of(kTimers);
    switch (any_of(8)) {
      case 0:
      case 1:
        REQUIRE(real.cancel(id) == model.cancel(id));
        break;
      case 2: {
        now += any_of(seed % 2 == 0 ? 40 : spread);
        bench.fired.clear();
        bench.queue.fire_due(at(now));
        const Ids expected = model.fire_due(
            at(now), [&](int i, std::size_t turn) { act(model, i, turn, kTimers, at(now)); });
        REQUIRE(bench.fired == expected);
        break;
      }
      default: {
        const TimePoint deadline = at(now - 3 + any_of(spread));
        real.arm(id, deadline);
        model.arm(id, deadline);
      }
    }
    REQUIRE(bench.queue.next_deadline() == model.next());
    REQUIRE(bench.queue.size() == model.size());
  }
}

TEST_CASE("on random sequences the queue does what an ordered multimap does") {
  for (std::uint32_t seed = 1; seed <= 24; ++seed) {
    CAPTURE(seed);
    compare_with_model(seed);
  }
}

TEST_CASE("a million timers fire in order, after growth and with half of them cancelled") {
  constexpr int kTimers = kSanitized ? 100'000 : 1'000'000;
  std::mt19937 random(1);
  Bench bench(kTimers);
  std::vector<TimePoint> deadlines;
  for (int i = 0; i < kTimers; ++i) {
    deadlines.push_back(at(static_cast<std::int64_t>(random() % 1'000'000)));
    bench.queue.arm(bench[i], deadlines.back());
  }
  for (int i = 0; i < kTimers; i += 2) {
    bench.queue.cancel(bench[i]);
  }
  const Ids fired = bench.fire(at(1'000'000));
  CHECK(fired.size() == kTimers / 2);
  bool in_order = true;
  for (std::size_t i = 1; i < fired.size(); ++i) {
    const auto before = std::pair(deadlines[static_cast<std::size_t>(fired[i - 1])], fired[i - 1]);
    const auto after = std::pair(deadlines[static_cast<std::size_t>(fired[i])], fired[i]);
    in_order &= before < after;
  }
  CHECK(in_order);
}

TEST_CASE("a pending timer costs at most 48 bytes") {
  // The entry in the heap, whose array has no page that was not needed: deadline and pointer.
  CHECK(sizeof(TimerNode) + sizeof(TimePoint) + sizeof(TimerNode*) <= 48);
}

}  // namespace
}  // namespace coaio::testing
