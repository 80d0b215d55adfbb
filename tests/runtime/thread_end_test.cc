// Where a home thread ends: its thread-locals and the statics of the program may still use a
// context, and other threads may only take it apart.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/home_thread.h"
#include "runtime/time/timer.h"
#include "runtime/watched_fd.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;

// Without doctest, whose own thread-locals may have ended where a test uses this.
std::unique_ptr<Context> new_context(Backend backend = Backend::kAuto) {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create({.backend = backend});
  return *std::move(context);
}

bool runs_what_is_posted(Context& context) {
  bool ran = false;
  context.post([&] { ran = true; });
  context.poll(false);
  return ran;
}

// Does its work in the destructors of a thread-local that the thread made before its first context,
// so that it ends after everything that the library could have made on this thread.
struct AtThreadEnd {
  ~AtThreadEnd() {
    if (work != nullptr) {
      work();
    }
  }
  std::function<void()> work;
};

thread_local AtThreadEnd t_at_thread_end;

TEST_CASE("a thread-local that ends after others still runs the context that it has run before") {
  for (const Backend backend : available_back_ends()) {
    bool kept_works = false;
    bool new_works = false;
    std::thread([&] {
      t_at_thread_end.work = nullptr;  // made now
      const std::shared_ptr<Context> kept = new_context(backend);
      REQUIRE(runs_what_is_posted(*kept));
      t_at_thread_end.work = [&, kept] {
        kept_works = runs_what_is_posted(*kept);
        new_works = runs_what_is_posted(*new_context());
      };
    }).join();
    CHECK(kept_works);
    CHECK(new_works);
  }
}

std::unique_ptr<Context> g_kept;
constexpr int kWorks = 7;

// exit() ends the thread-locals of the calling thread first, and then the statics, in the order of
// these functions.
TEST_CASE("the destructor of a static still runs a context of the main thread, kept or new") {
  for (const Backend backend : available_back_ends()) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(30);
      std::atexit([] {
        const bool works = runs_what_is_posted(*g_kept) && runs_what_is_posted(*new_context());
        g_kept.reset();
        _exit(works ? kWorks : EXIT_FAILURE);
      });
      g_kept = new_context(backend);
      std::exit(runs_what_is_posted(*g_kept) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == kWorks);
  }
}

TEST_CASE("a callback may call exit(), which destroys a static context") {
  for (const Backend backend : available_back_ends()) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(30);
      std::atexit([] {
        g_kept.reset();
        _exit(kWorks);
      });
      g_kept = new_context(backend);
      g_kept->post([] { std::exit(EXIT_FAILURE); });
      g_kept->run();
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == kWorks);
  }
}

TEST_CASE("a context whose home thread has ended is refused to another one, by a sentence") {
  const auto after_the_end = [](const std::function<void(Context&)>& work) {
    return abort_message([&] {
      const std::unique_ptr<Context> context = new_context();
      std::thread([&] { context->poll(false); }).join();
      work(*context);
    });
  };
  for (const std::string& words : {after_the_end([](Context& context) { context.bind(); }),
                                   after_the_end([](Context& context) { context.poll(false); }),
                                   after_the_end([](Context& context) { context.run(); })}) {
    CAPTURE(words);
    CHECK(words.find("the home thread of a context has ended") != std::string::npos);
  }
}

TEST_CASE("after its home thread has ended a context is taken apart by another one") {
  for (const Backend backend : available_back_ends()) {
    std::unique_ptr<Context> context = new_context(backend);
    const Pair pair = make_pipe();
    std::unique_ptr<Timer> timer;
    std::unique_ptr<BottomHalf> half;
    std::unique_ptr<WatchedFd> owner;
    std::thread([&] {
      context->bind();
      timer = std::make_unique<Timer>(*context, [] {});
      timer->arm_after(1h);
      half = std::make_unique<BottomHalf>(*context, [] {});
      owner = std::make_unique<WatchedFd>(*context, make_eventfd(0));
      context->set_fd_handler(pair.a.get(), {.read = [] {}, .write = nullptr});
      context->poll(false);
      half->schedule();
    }).join();
    context->set_fd_handler(pair.a.get(), {});
    CHECK(timer->cancel());
    timer.reset();
    half.reset();
    owner.reset();
    context.reset();
  }
}

// A thread has one identity until it has really ended, and the next thread another one.
TEST_CASE("the home of a thread that has ended is not that of the next thread") {
  HomeThread first;
  std::thread([&] { CHECK(first.claim()); }).join();
  CHECK(first.has_ended());
  CHECK(!first.is_here());
  std::thread([&] {
    HomeThread second;
    CHECK(second.claim());
    CHECK(!first.is_here());
    CHECK(!first.claim());
    CHECK(second.is_here());
  }).join();
}

}  // namespace
}  // namespace coaio::testing
