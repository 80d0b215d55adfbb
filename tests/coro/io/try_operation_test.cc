// When an operation tries its system call, and when it waits without trying. The calls are counted
// by an operation of the test on one end of a socket pair.

#include "coro/io/try_operation.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "backends/events.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {

using namespace internal;
namespace {

// Takes one byte, once the first `refusals` attempts have found nothing.
class TakeByte : public TryOperation {
 public:
  TakeByte(const WatchedFd& fd, int& attempts, int refusals = 0)
      : TryOperation(fd, Events::kIn, &TakeByte::attempt),
        attempts_(attempts),
        refusals_(refusals) {}
  bool await_resume() const { return !was_cancelled(); }

 private:
  static Outcome attempt(TryOperation& operation) {
    auto& self = static_cast<TakeByte&>(operation);
    char byte = 0;
    const bool done = ++self.attempts_ > self.refusals_ && read(self.fd(), &byte, 1) == 1;
    return done ? Outcome::kDone : Outcome::kWouldBlock;
  }

  int& attempts_;
  int refusals_;
};

Task<void> take(const WatchedFd& fd, int& attempts, bool& done) {
  done = co_await TakeByte(fd, attempts);
}

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

struct Scene {
  explicit Scene(Context& context) : Scene(context, make_unix_pair()) {}
  Scene(Context& context, Pair pair) : fd(context, std::move(pair.a)), peer(std::move(pair.b)) {}

  WatchedFd fd;
  UniqueFd peer;
  int attempts = 0;
};

TEST_CASE("an operation tries first, and waits for nothing that is there") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Scene scene(c);
      write_all(scene.peer, "abc");
      for (int i = 1; i <= 3; ++i) {
        CHECK(co_await TakeByte(scene.fd, scene.attempts));
        CHECK(scene.attempts == i);
      }
    }(context));
  });
}

TEST_CASE("a direction that is known to be exhausted is not tried again before its event") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Scene scene(c);
      for (int i = 0; i < 3; ++i) {
        TaskGroup group(co_await this_task());
        bool done = false;
        group.spawn(take(scene.fd, scene.attempts, done));
        co_await settle();
        CHECK(scene.attempts == 1);
        group.cancel();
        CHECK((co_await group.join()).ok());
        CHECK(!done);
      }
    }(context));
  });
}

TEST_CASE("a false alarm costs an attempt, and does not resume the task") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Scene scene(c);
      TaskGroup group(co_await this_task());
      bool done = false;
      group.spawn([](Scene& s, bool& flag) -> Task<void> {
        flag = co_await TakeByte(s.fd, s.attempts, /*refusals=*/2);
      }(scene, done));
      co_await settle();
      CHECK(scene.attempts == 1);
      write_all(scene.peer, "a");
      while (scene.attempts < 2) {
        co_await yield();
      }
      co_await settle();
      CHECK(!done);
      write_all(scene.peer, "b");
      CHECK((co_await group.join()).ok());
      CHECK(done);
    }(context));
  });
}

TEST_CASE("what came while nobody waited is found by the next attempt") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      Scene scene(c);
      {
        TaskGroup group(co_await this_task());
        bool done = false;
        group.spawn(take(scene.fd, scene.attempts, done));
        co_await settle();
        group.cancel();
        CHECK((co_await group.join()).ok());
      }
      write_all(scene.peer, "a");
      co_await settle();
      CHECK(co_await TakeByte(scene.fd, scene.attempts));
    }(context));
  });
}

TEST_CASE("of several that never wait, each goes through the queue now and then") {
  const auto context = make_context();
  run(*context, [](Context& c) -> Task<void> {
    Scene scene(c);
    bool others = false;
    c.post([&] { others = true; });
    int count = 0;
    for (; !others && count < 1000; ++count) {
      write_all(scene.peer, "a");
      CHECK(co_await TakeByte(scene.fd, scene.attempts));
    }
    CHECK(count < 1000);
  }(*context));
}

}  // namespace
}  // namespace coaio::testing
