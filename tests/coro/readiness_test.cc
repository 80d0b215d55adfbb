#include "coro/readiness.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {

using namespace internal;
namespace {

// Writes down that the wait has ended, and how: a capital letter for kCancelled, '!' for an error.
Task<void> wait_and_tell(int fd, Events interest, char name, std::string& log) {
  const absl::StatusOr<Events> seen = co_await ready(fd, interest);
  log += seen.ok()                          ? name
         : absl::IsCancelled(seen.status()) ? static_cast<char>(name - 'a' + 'A')
                                            : '!';
}

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

TEST_CASE("a descriptor that is ready ends the wait") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    write_all(pipe.b, "x");
    const auto seen = run(context, [](int fd) -> Task<absl::StatusOr<Events>> {
      co_return co_await ready(fd, Events::kIn);
    }(pipe.a.get()));
    REQUIRE(seen.ok());
    CHECK(any(*seen & Events::kIn));
    CHECK(run(context,
              [](int fd) -> Task<absl::Status> { co_return co_await writable(fd); }(pipe.b.get()))
              .ok());
  });
}

TEST_CASE("a wait goes on until the descriptor is ready") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    std::string log;
    run(context, [](const Pair& p, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(p.a.get(), Events::kIn, 'a', l));
      co_await settle();
      l += '-';
      write_all(p.b, "x");
      CHECK((co_await group.join()).ok());
    }(pipe, log));
    CHECK(log == "-a");
  });
}

TEST_CASE("both directions are waited for independently") {
  on_every_context([](Context& context) {
    const Pair pair = make_unix_pair();
    std::string log;
    fill(pair.a);
    run(context, [](const Pair& p, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(p.a.get(), Events::kOut, 'o', l));
      group.spawn(wait_and_tell(p.a.get(), Events::kIn, 'i', l));
      co_await settle();
      CHECK(l.empty());
      write_all(p.b, "x");
      while (l.empty()) {
        co_await yield();
      }
      CHECK(l == "i");
      read_all(p.b);
      CHECK((co_await group.join()).ok());
    }(pair, log));
    CHECK(log == "io");
  });
}

TEST_CASE("of several who wait to read, each gets a turn, in the order of asking") {
  on_every_context([](Context& context) {
    const UniqueFd semaphore = checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE));
    std::string log;
    run(context, [](const UniqueFd& fd, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      for (const char name : {'a', 'b', 'c'}) {
        group.spawn([](int f, char n, std::string& text) -> Task<void> {
          CHECK((co_await readable(f)).ok());
          text += n;
          std::uint64_t one = 0;
          CHECK(read(f, &one, sizeof one) == sizeof one);
        }(fd.get(), name, l));
      }
      co_await settle();
      const std::uint64_t three = 3;
      CHECK(write(fd.get(), &three, sizeof three) == sizeof three);
      CHECK((co_await group.join()).ok());
    }(semaphore, log));
    CHECK(log == "abc");
  });
}

TEST_CASE("a hang-up ends every wait") {
  on_every_context([](Context& context) {
    Pair pair = make_unix_pair();
    fill(pair.a);
    std::string log;
    run(context, [](Pair& p, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(p.a.get(), Events::kIn, 'i', l));
      group.spawn(wait_and_tell(p.a.get(), Events::kOut, 'o', l));
      co_await settle();
      p.b.reset();
      CHECK((co_await group.join()).ok());
    }(pair, log));
    CHECK(log.size() == 2);
    CHECK(log.find('!') == std::string::npos);
  });
}

TEST_CASE("files without readiness are ready at once") {
  on_every_context([](Context& context) {
    const UniqueFd null = checked(open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd file = checked(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    run(context, [](int n, int f) -> Task<void> {
      for (int i = 0; i < 3; ++i) {
        CHECK((co_await readable(n)).ok());
        CHECK((co_await writable(n)).ok());
        CHECK((co_await readable(f)).ok());
      }
    }(null.get(), file.get()));
  });
}

TEST_CASE("a number that is not open is an error that names it") {
  on_every_context([](Context& context) {
    const absl::Status status =
        run(context, []() -> Task<absl::Status> { co_return co_await readable(987); }());
    CHECK(errno_of(status) == EBADF);
    CHECK(status.message().find("987") != std::string::npos);
  });
}

TEST_CASE("a number far beyond all descriptors is an error that names it, and costs no memory") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      const absl::Status status = co_await readable(1'000'000'000);
      CHECK(absl::IsFailedPrecondition(status));
      CHECK(errno_of(status) == EBADF);
      CHECK(status.message().find("1000000000") != std::string::npos);
    }());
  });
}

TEST_CASE("a number that was closed and opened again between two waits is the new file") {
  on_every_context([](Context& context) {
    Pair first = make_pipe();
    write_all(first.b, "x");
    const int number = first.a.get();
    run(context, [](int fd) -> Task<void> { CHECK((co_await readable(fd)).ok()); }(number));
    first.a.reset();
    const Pair second = make_pipe();
    REQUIRE(second.a.get() == number);
    std::string log;
    run(context, [](const Pair& p, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(p.a.get(), Events::kIn, 'a', l));
      co_await settle();
      CHECK(l.empty());
      write_all(p.b, "x");
      CHECK((co_await group.join()).ok());
    }(second, log));
  });
}

// --- cancellation -------------------------------------------------------------------------------

TEST_CASE("a wait of a task that has been cancelled does not begin") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    write_all(pipe.b, "x");
    std::string log;
    run(context, [](const Pair& p, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.cancel();
      group.spawn(wait_and_tell(p.a.get(), Events::kIn, 'a', l));
      CHECK((co_await group.join()).ok());
    }(pipe, log));
    CHECK(log == "A");
  });
}

TEST_CASE("a wait can be cancelled, and leaves the descriptor to the next") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    std::string log;
    run(context, [](const Pair& p, std::string& l) -> Task<void> {
      TaskGroup first(co_await this_task());
      TaskGroup second(co_await this_task());
      first.spawn(wait_and_tell(p.a.get(), Events::kIn, 'a', l));
      second.spawn(wait_and_tell(p.a.get(), Events::kIn, 'b', l));
      co_await settle();
      first.cancel();
      CHECK((co_await first.join()).ok());
      CHECK(l == "A");
      write_all(p.b, "x");
      CHECK((co_await second.join()).ok());
    }(pipe, log));
    CHECK(log == "Ab");
  });
}

TEST_CASE("of an event and a cancellation in the same turn one wins, and the wait ends once") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    std::string log;
    run(context, [](const Pair& p, std::string& l) -> Task<void> {
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(p.a.get(), Events::kIn, 'a', l));
      co_await settle();
      write_all(p.b, "x");
      group.cancel();
      CHECK((co_await group.join()).ok());
    }(pipe, log));
    CHECK((log == "A" || log == "a"));
    // What was written is still there.
    CHECK(run(context,
              [](int fd) -> Task<absl::Status> { co_return co_await readable(fd); }(pipe.a.get()))
              .ok());
  });
}

// --- giving up ----------------------------------------------------------------------------------

TEST_CASE("a descriptor that is given up ends every wait, and can be closed and replaced at once") {
  on_every_context([](Context& context) {
    std::string log;
    run(context, [](Context& c, std::string& l) -> Task<void> {
      Pair first = make_unix_pair();
      fill(first.a);
      const int number = first.a.get();
      TaskGroup group(co_await this_task());
      group.spawn(wait_and_tell(number, Events::kIn, 'i', l));
      group.spawn(wait_and_tell(number, Events::kIn, 'j', l));
      group.spawn(wait_and_tell(number, Events::kOut, 'o', l));
      co_await settle();
      c.release_fd(number);
      CHECK(l.empty());  // no task runs inside the call
      first.a.reset();
      const Pair second = make_unix_pair();
      REQUIRE(second.a.get() == number);
      CHECK((co_await group.join()).ok());
      CHECK(l == "IJO");
      // The next file is waited for as usual.
      group.spawn(wait_and_tell(number, Events::kIn, 'n', l));
      co_await settle();
      CHECK(l == "IJO");
      write_all(second.b, "x");
      CHECK((co_await group.join()).ok());
      CHECK(l == "IJOn");
    }(context, log));
  });
}

TEST_CASE("a descriptor that is given up has no handlers any more, and its waiters are not woken") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    int called = 0;
    context.bind();
    context.set_fd_handler(pipe.a.get(), {.read = [&] { ++called; }, .write = nullptr});
    write_all(pipe.b, "x");
    context.release_fd(pipe.a.get());
    context.poll(false);
    CHECK(called == 0);
    context.release_fd(pipe.a.get());  // nobody has it
    context.release_fd(-1);
    context.release_fd(1 << 20);
  });
}

TEST_CASE("giving up a descriptor that a stream owns ends the process with the fix") {
  const std::string words = abort_message([] {
    const auto context = make_context();
    context->bind();
    const WatchedFd owned(*context, make_pipe().a);
    context->release_fd(owned.get());
  });
  CHECK(words.find("close that one instead") != std::string::npos);
}

TEST_CASE("a wait that nobody awaits leaves no trace") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    write_all(pipe.b, "x");
    run(context, [](int fd) -> Task<void> {
      const Readiness never_awaited = ready(fd, Events::kIn);
      co_return;
    }(pipe.a.get()));
    CHECK(!context.poll(false));
  });
}

TEST_CASE("waiting again and again allocates nothing") {
  on_every_context([](Context& context) {
    const Pair pipe = make_pipe();
    write_all(pipe.b, "x");
    const std::size_t made = run(context, [](int fd) -> Task<std::size_t> {
      for (int i = 0; i < 10; ++i) {
        CHECK((co_await readable(fd)).ok());
      }
      const std::size_t before = allocations_so_far();
      for (int i = 0; i < 100; ++i) {
        const absl::Status status = co_await readable(fd);
        if (!status.ok()) {
          co_return 0;
        }
      }
      co_return allocations_so_far() - before;
    }(pipe.a.get()));
    CHECK(made == 0);
  });
}

}  // namespace
}  // namespace coaio::testing
