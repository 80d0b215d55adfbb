#include "runtime/remote_queue.h"

#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "runtime/run_queue.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {

using namespace internal;
namespace {

struct Counted : RunNode {
  Counted() : RunNode(&Counted::call) {}
  static void call(RunNode& node) {
    auto& self = static_cast<Counted&>(node);
    ++self.runs;
    self.seen = self.written;
  }

  int written = 0;  // by the thread that pushes, before it does
  int seen = 0;
  int runs = 0;
};

std::vector<RunNode*> drained(RemoteQueue& remote) {
  RunQueue home;
  remote.drain(home);
  std::vector<RunNode*> nodes;
  while (RunNode* node = home.take()) {
    nodes.push_back(node);
  }
  return nodes;
}

TEST_CASE("only the push that fills the queue asks for a wake-up") {
  RemoteQueue remote;
  Counted a;
  Counted b;
  CHECK(remote.push(a));
  CHECK(!remote.push(b));
  drained(remote);
  CHECK(remote.push(b));
  drained(remote);
}

TEST_CASE("draining keeps the order of pushing") {
  RemoteQueue remote;
  std::array<Counted, 4> nodes;
  for (Counted& node : nodes) {
    remote.push(node);
  }
  CHECK(drained(remote) == std::vector<RunNode*>{&nodes[0], &nodes[1], &nodes[2], &nodes[3]});
  CHECK(remote.empty());
}

TEST_CASE("a node that is pushed twice is drained once, and can be pushed again afterwards") {
  RemoteQueue remote;
  Counted node;
  remote.push(node);
  CHECK(!remote.push(node));
  CHECK(drained(remote).size() == 1);
  CHECK(remote.push(node));
  CHECK(drained(remote).size() == 1);
}

TEST_CASE("a node that is in the home queue already keeps its place there") {
  RemoteQueue remote;
  RunQueue home;
  Counted a;
  Counted b;
  home.push(a);
  home.push(b);
  remote.push(a);
  remote.drain(home);
  CHECK(home.take() == &a);
  CHECK(home.take() == &b);
  CHECK(home.take() == nullptr);
}

TEST_CASE("of many threads that push, each one's nodes arrive once and in its order") {
  constexpr int kThreads = 3;
  constexpr int kNodes = 2000;
  const TestTimeout patience;
  RemoteQueue remote;
  std::vector<std::unique_ptr<std::array<Counted, kNodes>>> nodes;
  for (int i = 0; i < kThreads; ++i) {
    nodes.push_back(std::make_unique<std::array<Counted, kNodes>>());
  }
  std::barrier start(kThreads + 1);
  std::vector<std::thread> threads;
  for (auto& mine : nodes) {
    threads.emplace_back([&start, &remote, &mine = *mine] {
      start.arrive_and_wait();
      for (Counted& node : mine) {
        node.written = 7;
        remote.push(node);
      }
    });
  }
  start.arrive_and_wait();
  std::array<std::size_t, kThreads> next{};
  std::size_t total = 0;
  bool in_order = true;
  while (total < std::size_t{kThreads} * kNodes) {
    RunQueue home;
    remote.drain(home);
    while (RunNode* node = home.take()) {
      auto* counted = static_cast<Counted*>(node);
      Counted::call(*counted);
      ++total;
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        auto& mine = *nodes[i];
        if (counted >= mine.data() && counted < mine.data() + kNodes) {
          in_order &= counted == &mine[next[i]++];
        }
      }
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(in_order);
  CHECK(remote.empty());
  bool all_seen = true;
  for (const auto& mine : nodes) {
    for (const Counted& node : *mine) {
      all_seen &= node.runs == 1 && node.seen == 7;
    }
  }
  CHECK(all_seen);
}

TEST_CASE("a push that finds its node on the way is seen by the run that comes") {
  constexpr int kRounds = 20000;
  const TestTimeout patience;
  RemoteQueue remote;
  Counted node;
  std::atomic<int> published{0};
  std::thread pusher([&] {
    for (int i = 1; i <= kRounds; ++i) {
      published.store(i, std::memory_order_relaxed);
      remote.push(node);
    }
  });
  // The last push must be followed by a run, whichever of its two ways it took.
  int last = 0;
  while (last < kRounds) {
    RunQueue home;
    remote.drain(home);
    while (home.take() != nullptr) {
      last = published.load(std::memory_order_relaxed);
    }
  }
  pusher.join();
  CHECK(last == kRounds);
}

}  // namespace
}  // namespace coaio::testing
