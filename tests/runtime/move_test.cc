// A context that goes on to another back end while it is in use.

#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/context_access.h"
#include "runtime/fd_table.h"
#include "runtime/watched_fd.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/sandbox.h"
#include "tests/support/skipped.h"

namespace coaio::testing {

using namespace internal;
namespace {

// --- back ends that fail ------------------------------------------------------------------------

TEST_CASE("a context whose back end is refused later moves on, and loses nothing") {
  if (!sandbox_works()) {
    return report_skipped("the kernel has no seccomp filter to offer");
  }
  struct Case {
    Backend backend;
    std::vector<Refusal> refusals;
    std::string moved_to;
  };
  const std::vector<Case> cases = {
      {Backend::kIoUring, {{.number = SYS_io_uring_enter, .error = EPERM}}, "epoll"},
      {Backend::kIoUring,
       {{.number = SYS_io_uring_enter, .error = EPERM},
        {.number = SYS_epoll_create1, .error = EPERM}},
       "ppoll"},
      {Backend::kEpoll, {{.number = SYS_epoll_ctl, .error = ENOSPC}}, "ppoll"},
  };
  for (const Case& one : cases) {
    if (!select_monitor(one.backend).ok()) {
      continue;
    }
    CAPTURE(one.moved_to);
    CHECK(run_in_child([&]() -> std::string {
            const std::unique_ptr<Context> context = make_context({.backend = one.backend});
            context->bind();
            const Pair before = make_pipe();
            const Pair after = make_pipe();
            std::string log;
            const auto handle = [&](const Pair& pair, char name) {
              context->set_fd_handler(pair.a.get(), {.read =
                                                         [&pair, &log, name] {
                                                           read_all(pair.a);
                                                           log += name;
                                                         },
                                                     .write = nullptr});
            };
            handle(before, 'b');
            context->poll(false);
            refuse_system_calls(one.refusals);
            handle(after, 'a');
            write_all(before.b, "x");
            write_all(after.b, "x");
            while (log.size() < 2) {
              context->poll(true);
            }
            if (context->backend() != one.moved_to || context->stats().moves != 1) {
              return "moved to " + std::string(context->backend());
            }
            if (context->backend_reason().find("refused") == std::string::npos &&
                context->backend_reason().find("failed") == std::string::npos) {
              return context->backend_reason();
            }
            // The wake-up has moved along.
            std::thread waker([&] { context->notify(); });
            context->poll(true);
            waker.join();
            return "moved";
          }) == "moved");
  }
}

// --- with much to carry along -------------------------------------------------------------------

// Watches of all three kinds in equal parts, and the events that they have yet to hear.
class Crowd {
 public:
  Crowd(Context& context, std::size_t count) : context_(context) {
    for (std::size_t i = 0; i < count; ++i) {
      add(i);
    }
  }
  ~Crowd() {
    for (const UniqueFd& fd : handled_) {
      context_.set_fd_handler(fd.get(), {});
    }
    for (const std::unique_ptr<Waiter>& waiter : waiters_) {
      ContextAccess(context_).fds().remove(*waiter);
    }
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // An event for every `step`-th one.
  void signal(std::size_t step) {
    for (std::size_t i = 0; i < numbers_.size(); i += step) {
      REQUIRE(eventfd_write(numbers_[i], 1) == 0);
      ++missing_;
    }
  }

  bool complete() const { return missing_ == 0; }

  std::size_t calls_for_nothing() const { return calls_for_nothing_; }

 private:
  // Waits again after each event, on its own descriptor (edge-triggered) or a borrowed one.
  struct Waiter : FdWaiter {
    Waiter(Crowd& crowd, std::size_t index) : FdWaiter(&Waiter::wake), all(crowd), number(index) {}

    void wait() {
      FdTable& fds = ContextAccess(all.context_).fds();
      if (owned.is_open()) {
        fds.wait(owned.record(), *this, Events::kIn);
      } else {
        fds.wait(all.numbers_[number], *this, Events::kIn);
      }
    }
    static void wake(FdWaiter& waiter, Events events) {
      if (any(events)) {
        auto& self = static_cast<Waiter&>(waiter);
        self.all.hear(self.number);
        self.wait();
      }
    }

    Crowd& all;
    std::size_t number;
    WatchedFd owned;
    UniqueFd borrowed;
  };

  void add(std::size_t index) {
    UniqueFd fd = checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE));
    numbers_.push_back(fd.get());
    if (index % 3 == 0) {
      context_.set_fd_handler(fd.get(), {.read = [this, index] { hear(index); }, .write = nullptr});
      handled_.push_back(std::move(fd));
      return;
    }
    Waiter& waiter = *waiters_.emplace_back(std::make_unique<Waiter>(*this, index));
    if (index % 3 == 1) {
      waiter.borrowed = std::move(fd);
    } else {
      waiter.owned = WatchedFd(context_, std::move(fd));
    }
    waiter.wait();
  }

  void hear(std::size_t index) {
    eventfd_t value = 0;
    bool found = false;
    while (eventfd_read(numbers_[index], &value) == 0) {
      found = true;
      --missing_;
    }
    calls_for_nothing_ += found ? 0 : 1;
  }

  Context& context_;
  std::vector<int> numbers_;
  std::size_t missing_ = 0;
  std::size_t calls_for_nothing_ = 0;
  std::vector<UniqueFd> handled_;
  std::vector<std::unique_ptr<Waiter>> waiters_;
};

// Until all is heard, and then until the kernel has nothing more to say.
void settle(Context& context, const Crowd& crowd) {
  while (!crowd.complete()) {
    context.poll(true);
  }
  while (context.poll(false)) {
  }
}

// The crowd hears what came before the move, across it and after it, each of it once.
std::string move_with_crowd(Context& context, Crowd& crowd, const std::function<void()>& cause) {
  settle(context, crowd);
  const std::string first(context.backend());
  crowd.signal(2);
  cause();
  crowd.signal(3);
  settle(context, crowd);
  crowd.signal(1);
  settle(context, crowd);
  return absl::StrCat(first, " to ", context.backend(), ", ", context.stats().moves, " move, ",
                      crowd.calls_for_nothing(), " calls for nothing");
}

constexpr std::size_t kCrowd = 6'000;

TEST_CASE(
    "a sandbox that is installed while thousands are watched costs no event and doubles none") {
  if (!sandbox_works()) {
    return report_skipped("the kernel has no seccomp filter to offer");
  }
  if (!allow_descriptors(kCrowd + 100)) {
    return report_skipped("RLIMIT_NOFILE allows fewer than 6,100 descriptors");
  }
  const auto move_when_refused = [](Backend backend, const Refusal& refusal) {
    return run_in_child([&] {
      const std::unique_ptr<Context> context = make_context({.backend = backend});
      context->bind();
      Crowd crowd(*context, kCrowd);
      return move_with_crowd(*context, crowd, [&] { refuse_system_calls({refusal}); });
    });
  };
  CHECK(move_when_refused(Backend::kEpoll, {.number = SYS_epoll_ctl, .error = ENOSPC}) ==
        "epoll to ppoll, 1 move, 0 calls for nothing");
  if (select_monitor(Backend::kIoUring).ok()) {
    CHECK(move_when_refused(Backend::kIoUring, {.number = SYS_io_uring_enter, .error = EPERM}) ==
          "io_uring to epoll, 1 move, 0 calls for nothing");
  }
}

TEST_CASE("without io_uring, a context begins on ppoll and moves to epoll at its threshold") {
  if (!allow_descriptors(kCrowd + 100)) {
    return report_skipped("RLIMIT_NOFILE allows fewer than 6,100 descriptors");
  }
  CHECK(run_in_child([]() -> std::string {
          refuse_system_calls({{.number = SYS_io_uring_setup, .error = EPERM}});
          const std::unique_ptr<Context> context = make_context({.epoll_threshold = kCrowd + 1});
          context->bind();
          Crowd crowd(*context, kCrowd);
          const UniqueFd last = make_eventfd(0);
          const std::string moved = move_with_crowd(*context, crowd, [&] {
            context->set_fd_handler(last.get(), {.read = [] {}, .write = nullptr});
          });
          const std::string& reason = context->backend_reason();
          return absl::StrContains(reason, "; ppoll for fewer than 6001 watches; 6001 watches")
                     ? moved
                     : reason;
        }) == "ppoll to epoll, 1 move, 0 calls for nothing");
}

TEST_CASE("a threshold means nothing to a context that has io_uring or a back end of choice") {
  for (const Backend backend : available_back_ends()) {
    const std::unique_ptr<Context> context =
        make_context({.backend = backend, .epoll_threshold = 1});
    context->bind();
    const UniqueFd fd = make_eventfd(1);
    context->set_fd_handler(fd.get(), {.read = [] {}, .write = nullptr});
    context->poll(true);
    CHECK(context->stats().moves == 0);
    context->set_fd_handler(fd.get(), {});
  }
}

}  // namespace
}  // namespace coaio::testing
