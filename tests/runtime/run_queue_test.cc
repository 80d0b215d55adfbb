#include "runtime/run_queue.h"

#include <memory>
#include <string>

#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

// Writes its name when it runs.
struct Named : RunNode {
  Named(char n, std::string& l) : RunNode(&Named::write), name(n), log(l) {}
  static void write(RunNode& node) {
    auto& self = static_cast<Named&>(node);
    self.log += self.name;
  }

  char name;
  std::string& log;
};

// One batch, as a turn runs it.
void run_batch(RunQueue& queue) {
  queue.begin_batch();
  while (queue.run_one()) {
  }
}

TEST_CASE("nodes run in the order of queueing") {
  RunQueue queue;
  std::string log;
  Named a('a', log);
  Named b('b', log);
  Named c('c', log);
  queue.push(b);
  queue.push(a);
  queue.push(c);
  run_batch(queue);
  CHECK(log == "bac");
  CHECK(queue.empty());
}

TEST_CASE("a node that is queued twice runs once, in its first place") {
  RunQueue queue;
  std::string log;
  Named a('a', log);
  Named b('b', log);
  queue.push(a);
  queue.push(b);
  queue.push(a);
  run_batch(queue);
  CHECK(log == "ab");
}

TEST_CASE("a node that is removed does not run, and can be queued again") {
  RunQueue queue;
  std::string log;
  Named a('a', log);
  Named b('b', log);
  queue.push(a);
  queue.push(b);
  RunQueue::remove(a);
  CHECK(!a.queued());
  queue.push(a);
  run_batch(queue);
  CHECK(log == "ba");
}

TEST_CASE("removing a node that is not queued does nothing") {
  std::string log;
  Named a('a', log);
  RunQueue::remove(a);
  CHECK(!a.queued());
}

TEST_CASE("a node that queues itself runs in the next batch") {
  struct Again : RunNode {
    explicit Again(RunQueue& q) : RunNode(&Again::call), queue(q) {}
    static void call(RunNode& node) {
      auto& self = static_cast<Again&>(node);
      ++self.runs;
      self.queue.push(self);
    }
    RunQueue& queue;
    int runs = 0;
  };
  RunQueue queue;
  Again again(queue);
  queue.push(again);
  run_batch(queue);
  CHECK(again.runs == 1);
  run_batch(queue);
  CHECK(again.runs == 2);
  RunQueue::remove(again);
}

TEST_CASE("a node may free itself when it runs") {
  struct Fleeting : RunNode {
    explicit Fleeting(int& c) : RunNode(&Fleeting::call), count(c) {}
    ~Fleeting() { ++count; }
    static void call(RunNode& node) {
      const std::unique_ptr<Fleeting> self(static_cast<Fleeting*>(&node));
    }
    int& count;
  };
  RunQueue queue;
  int freed = 0;
  queue.push(*std::make_unique<Fleeting>(freed).release());
  run_batch(queue);
  CHECK(freed == 1);
}

TEST_CASE("a nested batch runs what the outer one has not come to, in order") {
  struct Nesting : Named {
    Nesting(RunQueue& q, std::string& l) : Named('(', l), queue(q) { set_function(&Nesting::call); }
    static void call(RunNode& node) {
      auto& self = static_cast<Nesting&>(static_cast<Named&>(node));
      self.log += '(';
      run_batch(self.queue);
      self.log += ')';
    }
    RunQueue& queue;
  };
  RunQueue queue;
  std::string log;
  Named a('a', log);
  Named b('b', log);
  Nesting nesting(queue, log);
  queue.push(a);
  queue.push(nesting);
  queue.push(b);
  run_batch(queue);
  CHECK(log == "a(b)");
}

TEST_CASE("take() gives the nodes without running them") {
  RunQueue queue;
  std::string log;
  Named a('a', log);
  queue.push(a);
  CHECK(queue.take() == &a);
  CHECK(queue.take() == nullptr);
  CHECK(log.empty());
}

}  // namespace
}  // namespace coaio::testing
