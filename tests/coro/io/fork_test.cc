// In a forked child everything that uses a context, and that a task of the parent waits for, can be
// destroyed; the parent goes on.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "coro/await_poll_source.h"
#include "coro/cancel.h"
#include "coro/io/io_result.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/readiness.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/scoped_poll_source.h"
#include "tests/coro/io/loopback.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

struct NeverReady final : AwaitablePollSource {
  bool ready() override { return false; }
};

// A server whose tasks all wait.
class Server {
 public:
  explicit Server(Context& context)
      : listener_(std::make_unique<TcpListener>(listen_on_loopback(context))),
        half_(std::make_unique<HalfStream>(make_half_stream(context))),
        source_(std::make_unique<NeverReady>()),
        added_(std::make_unique<ScopedPollSource>(context, *source_)),
        outer_(std::make_unique<CancelSource>(context)),
        group_(std::make_unique<TaskGroup>(TaskEnv{context, outer_->token()})) {
    group_->spawn(accept_one());
    group_->spawn(read_one());
    group_->spawn(wait_for_descriptor());
    group_->spawn(wait_for_source());
    group_->spawn(sleep_long());
    group_->cancel_after(1h);
  }

  void end_listener() { listener_.reset(); }
  void end_stream() { half_.reset(); }
  void end_group() { group_.reset(); }
  void end_source() {
    added_.reset();
    source_.reset();
  }
  void end_all() {
    end_listener();
    end_stream();
    end_source();
    end_group();
    outer_.reset();
  }
  // Leaves the group to end_group().
  void end_cancel_source() { outer_.reset(); }

  Task<void> join() {
    group_->cancel();
    CHECK((co_await group_->join()).ok());
    CHECK(ended == 5);
  }

  int ended = 0;

 private:
  Task<void> accept_one() {
    CHECK(absl::IsCancelled((co_await listener_->accept()).status()));
    ++ended;
  }
  Task<void> read_one() {
    std::array<char, 8> buffer{};
    CHECK(absl::IsCancelled((co_await half_->stream.read_some(buffer)).status()));
    ++ended;
  }
  Task<void> wait_for_descriptor() {
    CHECK(absl::IsCancelled(co_await readable(never_.get())));
    ++ended;
  }
  Task<void> wait_for_source() {
    CHECK(absl::IsCancelled(co_await poll_source(*source_)));
    ++ended;
  }
  Task<void> sleep_long() {
    CHECK(absl::IsCancelled(co_await sleep_for(24h)));
    ++ended;
  }

  UniqueFd never_ = make_eventfd(0);
  std::unique_ptr<TcpListener> listener_;
  std::unique_ptr<HalfStream> half_;
  std::unique_ptr<NeverReady> source_;
  std::unique_ptr<ScopedPollSource> added_;
  std::unique_ptr<CancelSource> outer_;
  std::unique_ptr<TaskGroup> group_;
};

void settle(Context& context) {
  while (context.poll(false)) {
  }
}

TEST_CASE("what a task of the parent waits for can be destroyed in a forked child") {
  on_every_context([](Context& context) {
    Server server(context);
    settle(context);
    const auto in_child = [&](void (Server::*end)()) {
      CHECK(run_in_child([&]() -> std::string {
              (server.*end)();
              return server.ended == 0 ? "destroyed" : "a task of the parent went on in the child";
            }) == "destroyed");
    };
    in_child(&Server::end_listener);
    in_child(&Server::end_stream);
    in_child(&Server::end_source);
    in_child(&Server::end_group);
    in_child(&Server::end_cancel_source);
    in_child(&Server::end_all);
    run(context, server.join());
  });
}

std::unique_ptr<Context> g_context;
std::unique_ptr<Server> g_server;
constexpr int kDestroyed = 7;

// As exit() destroys statics, from inside a task.
TEST_CASE("a child that a task forks can exit(), which destroys a static server") {
  for (const Backend backend : available_back_ends()) {
    g_context = make_context({.backend = backend});
    g_server = std::make_unique<Server>(*g_context);
    const int status = run(*g_context, []() -> Task<int> {
      co_await yield();
      co_await yield();
      const pid_t child = fork();
      if (child == 0) {
        alarm(30);
        std::atexit([] {
          g_server->end_all();
          g_context.reset();
          _exit(kDestroyed);
        });
        std::exit(EXIT_SUCCESS);
      }
      int child_status = 0;
      CHECK(waitpid(child, &child_status, 0) == child);
      co_await g_server->join();
      co_return child_status;
    }());
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == kDestroyed);
    g_server.reset();
    g_context.reset();
  }
}

// The child's copies of the sockets are closed, and the parent's are as they were.
TEST_CASE("a connection whose stream a child has destroyed still works in the parent") {
  on_every_context([](Context& context) {
    HalfStream half = make_half_stream(context);
    std::string got;
    TaskGroup group({context, {}});
    group.spawn([](TcpStream& stream, std::string& into) -> Task<void> {
      std::array<char, 8> buffer{};
      const IoResult read = co_await stream.read_some(buffer);
      into = read.ok() ? std::string(buffer.data(), read.count()) : read.status().ToString();
    }(half.stream, got));
    settle(context);
    CHECK(run_in_child([&]() -> std::string {
            const TcpStream ended = std::move(half.stream);
            return "destroyed";
          }) == "destroyed");
    write_all(half.peer, "hello");
    run(context,
        [](TaskGroup& tasks) -> Task<void> { CHECK((co_await tasks.join()).ok()); }(group));
    CHECK(got == "hello");
  });
}

}  // namespace
}  // namespace coaio::testing
