// RLIMIT_NOFILE leaves no descriptor: a context returns an error that names the limit, or works
// with the descriptors that it has. Each test sets the real limit, in a process of its own.

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/errno_status.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/abort_message.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/sandbox.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

constexpr char kChecksNeedDescriptors[] = "a sanitizer opens descriptors for its checks";

// Until the object is destroyed, the process can open no descriptor from this one on.
class NumbersBelow {
 public:
  explicit NumbersBelow(int number) {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit limit{.rlim_cur = static_cast<rlim_t>(number), .rlim_max = before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  }
  NumbersBelow(const NumbersBelow&) = delete;
  NumbersBelow& operator=(const NumbersBelow&) = delete;
  ~NumbersBelow() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// The next descriptor that the kernel would use.
int next_number() { return make_eventfd(0).get(); }

void on_readable(Context& context, const UniqueFd& fd, std::string& log, char name) {
  context.set_fd_handler(fd.get(), {.read =
                                        [&fd, &log, name] {
                                          read_all(fd);
                                          log += name;
                                        },
                                    .write = nullptr});
}

// "works" for a context that may open so many descriptors, "too few" if its error names the limit.
std::string create_with(int left) {
  const Pair pipe = make_pipe();
  const NumbersBelow limit(next_number() + left);
  const absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
  if (!context.ok()) {
    const bool says_so = errno_of(context.status()) == EMFILE &&
                         absl::StrContains(context.status().message(), "ulimit -n");
    return says_so ? "too few" : context.status().ToString();
  }
  std::string log;
  on_readable(**context, pipe.a, log, 'x');
  write_all(pipe.b, "x");
  while (log.empty()) {
    (*context)->poll(true);
  }
  (*context)->set_fd_handler(pipe.a.get(), {});
  return "works";
}

TEST_CASE("a context at the limit of descriptors works, or says which limit to raise") {
  if (kSanitized) {
    return report_skipped(kChecksNeedDescriptors);
  }
  static_cast<void>(select_monitor(Backend::kAuto));  // probes io_uring while descriptors are left
  CHECK(run_in_child([] { return create_with(0); }) == "too few");
  for (int left = 1; left <= 3; ++left) {
    CAPTURE(left);
    CHECK(run_in_child([left] { return create_with(left); }) == "works");
  }
}

TEST_CASE("a limit that is lowered below what is open already takes nothing away") {
  if (kSanitized) {
    return report_skipped(kChecksNeedDescriptors);
  }
  for (const Backend backend : available_back_ends()) {
    CHECK(run_in_child([backend]() -> std::string {
            const std::unique_ptr<Context> context = make_context({.backend = backend});
            context->bind();
            const Pair pipe = make_pipe();
            std::string log;
            on_readable(*context, pipe.a, log, 'x');
            // ppoll(2) takes no more descriptors than the limit.
            const NumbersBelow limit(backend == Backend::kPpoll ? 2 : 0);
            write_all(pipe.b, "x");
            while (log.empty()) {
              context->poll(true);
            }
            context->set_fd_handler(pipe.a.get(), {});
            return absl::StrCat(log, " ", context->stats().moves, " moves");
          }) == "x 0 moves");
  }
}

TEST_CASE("a limit below the number of watches of ppoll ends the program with a sentence") {
  if (kSanitized) {
    return report_skipped(kChecksNeedDescriptors);
  }
  const std::string words = abort_message([] {
    const std::unique_ptr<Context> context = make_context({.backend = Backend::kPpoll});
    const NumbersBelow limit(0);
    context->poll(false);
    context->poll(true);
  });
  CAPTURE(words);
  for (const char* const part :
       {"ppoll fails, and there is nothing left to move to", "EINVAL", "there are 1 watches",
        "RLIMIT_NOFILE is 0", "raise ulimit -n", "epoll: epoll_create1: EMFILE"}) {
    CHECK(absl::StrContains(words, part));
  }
}

// One descriptor must be left for epoll.
TEST_CASE("a limit below the number of watches of ppoll moves the context to epoll, without loss") {
  if (kSanitized) {
    return report_skipped(kChecksNeedDescriptors);
  }
  for (const bool forced : {true, false}) {
    if (!forced && !sandbox_works()) {
      return report_skipped(kNoSandbox);
    }
    CHECK(run_in_child([forced]() -> std::string {
            if (!forced) {
              refuse_system_calls({{.number = SYS_io_uring_setup, .error = EPERM}});
            }
            UniqueFd spare = make_eventfd(0);
            const int low = spare.get();
            const std::unique_ptr<Context> context =
                make_context(forced ? ContextOptions{.backend = Backend::kPpoll}
                                    : ContextOptions{.epoll_threshold = std::size_t{1} << 20});
            context->bind();
            const std::string before(context->backend());
            std::vector<Pair> pipes;
            std::string log;
            for (int i = 0; i < low + 1; ++i) {
              pipes.push_back(make_pipe());
            }
            for (const Pair& pipe : pipes) {
              on_readable(*context, pipe.a, log, 'x');
            }
            context->poll(false);
            spare.reset();
            const NumbersBelow limit(low + 1);
            for (int round = 1; round <= 2; ++round) {
              for (const Pair& pipe : pipes) {
                write_all(pipe.b, "x");
              }
              while (log.size() < pipes.size() * static_cast<std::size_t>(round)) {
                context->poll(true);
              }
            }
            for (const Pair& pipe : pipes) {
              context->set_fd_handler(pipe.a.get(), {});
            }
            return absl::StrContains(context->backend_reason(), "ppoll failed: ppoll: EINVAL")
                       ? absl::StrCat(before, " to ", context->backend())
                       : context->backend_reason();
          }) == "ppoll to epoll");
  }
}

// A program whose back ends all fail must not move between two of them without end.
TEST_CASE("a context that left epoll does not come back to it when ppoll fails") {
  const std::string words = abort_message([] {
    const absl::StatusOr<SelectedMonitor> ppoll = select_monitor(Backend::kPpoll);
    next_monitor(*ppoll->monitor, errno_status(EINVAL, "ppoll"),
                 "auto; epoll failed: epoll_ctl: ENOSPC");
  });
  CHECK(absl::StrContains(words, "epoll: has failed before"));
}

TEST_CASE("where no descriptor is left to rebuild a set with, the context moves to ppoll") {
  if (kSanitized) {
    return report_skipped(kChecksNeedDescriptors);
  }
  CHECK(run_in_child([]() -> std::string {
          const std::unique_ptr<Context> context = make_context({.backend = Backend::kEpoll});
          context->bind();
          const Pair live = make_pipe();
          Pair dead = make_pipe();
          const UniqueFd twin = checked(dup(dead.a.get()));
          std::string log;
          on_readable(*context, live.a, log, 'x');
          on_readable(*context, dead.a, log, '!');
          context->poll(false);
          const int number = dead.a.get();
          dead.a.reset();
          context->set_fd_handler(number, {});
          const UniqueFd filler = make_eventfd(0);  // has the last descriptor
          const NumbersBelow limit(next_number());
          write_all(dead.b, "x");
          write_all(live.b, "x");
          while (log.empty()) {
            context->poll(true);
          }
          context->poll(false);
          write_all(live.b, "x");
          while (log.size() < 2) {
            context->poll(true);
          }
          context->set_fd_handler(live.a.get(), {});
          return absl::StrContains(context->backend_reason(), "EMFILE")
                     ? absl::StrCat(log, " ", context->backend())
                     : context->backend_reason();
        }) == "xx ppoll");
}

}  // namespace
}  // namespace coaio::testing
