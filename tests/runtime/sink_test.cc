// The ready-made sink for standard error: what it writes, and what must not happen to its program.
// Standard error is replaced, in a child process.

#include "runtime/sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

// Two ends that block, as those of a shell do.
Pair make_blocking_pipe() {
  Pair pair = make_pipe();
  REQUIRE(fcntl(pair.a.get(), F_SETFL, 0) == 0);
  REQUIRE(fcntl(pair.b.get(), F_SETFL, 0) == 0);
  return pair;
}

// What the work returns, in a child whose standard error is this descriptor.
std::string with_standard_error(int fd, const std::function<std::string()>& work) {
  return run_in_child([&] {
    dup2(fd, STDERR_FILENO);
    return work();
  });
}

// Does not wait for more than there is.
std::string read_now(int fd) {
  std::string all;
  std::array<char, 65536> block;
  for (pollfd poll_in{.fd = fd, .events = POLLIN, .revents = 0}; poll(&poll_in, 1, 0) == 1;) {
    const ssize_t count = read(fd, block.data(), block.size());
    if (count <= 0) {
      break;
    }
    all.append(block.data(), static_cast<std::size_t>(count));
  }
  return all;
}

TEST_CASE("a sentence is one line on standard error: a pipe, a file, a terminal") {
  const Pair pipe = make_blocking_pipe();
  CHECK(with_standard_error(pipe.b.get(), []() -> std::string {
          standard_error_sink()("one");
          const Sink sink = standard_error_sink();
          sink("two");
          sink("three");
          return "";
        }) == "");
  CHECK(read_now(pipe.a.get()) == "coaio: one\ncoaio: two\ncoaio: three\n");

  const UniqueFd file = checked(memfd_create("standard error", MFD_CLOEXEC));
  CHECK(with_standard_error(file.get(), []() -> std::string {
          const Sink sink = standard_error_sink();
          const bool told = write(STDERR_FILENO, "before\n", 7) == 7;
          sink("one");
          return told && write(STDERR_FILENO, "after\n", 6) == 6 ? "" : "cannot write";
        }) == "");
  REQUIRE(lseek(file.get(), 0, SEEK_SET) == 0);
  CHECK(read_all(file) == "before\ncoaio: one\nafter\n");

  const UniqueFd terminal = checked(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(grantpt(terminal.get()) == 0);
  REQUIRE(unlockpt(terminal.get()) == 0);
  const UniqueFd other = checked(open(ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  CHECK(with_standard_error(other.get(), []() -> std::string {
          standard_error_sink()("one");
          return "";
        }) == "");
  CHECK(read_now(terminal.get()) == "coaio: one\r\n");
}

TEST_CASE("a pipe without a reader does not kill the program by SIGPIPE") {
  for (const bool before : {true, false}) {  // the sink is made
    Pair pipe = make_blocking_pipe();
    CHECK(with_standard_error(pipe.b.get(), [&]() -> std::string {
            Sink sink = standard_error_sink();
            pipe.a.reset();
            if (!before) {
              sink = standard_error_sink();
            }
            sink("one");
            sigset_t pending;
            sigset_t mask;
            sigpending(&pending);
            pthread_sigmask(SIG_BLOCK, nullptr, &mask);
            return sigismember(&pending, SIGPIPE) == 0 && sigismember(&mask, SIGPIPE) == 0
                       ? ""
                       : "the signal is left";
          }) == "");
  }
}

TEST_CASE("a SIGPIPE that the program has blocked, and that waits, is left to it") {
  Pair pipe = make_blocking_pipe();
  CHECK(with_standard_error(pipe.b.get(), [&]() -> std::string {
          const Sink sink = standard_error_sink();
          pipe.a.reset();
          sigset_t mask;
          sigemptyset(&mask);
          sigaddset(&mask, SIGPIPE);
          pthread_sigmask(SIG_BLOCK, &mask, nullptr);
          raise(SIGPIPE);
          sink("one");
          sigset_t pending;
          sigpending(&pending);
          pthread_sigmask(SIG_BLOCK, nullptr, &mask);
          return sigismember(&pending, SIGPIPE) == 1 && sigismember(&mask, SIGPIPE) == 1
                     ? ""
                     : "the signal is gone";
        }) == "");
}

TEST_CASE("a full pipe does not stop the program, and stays a blocking one for others") {
  const Pair pipe = make_blocking_pipe();
  CHECK(with_standard_error(pipe.b.get(), []() -> std::string {
          const Sink sink = standard_error_sink();
          const std::string sentence(2000, 'x');
          for (int i = 0; i < 100; ++i) {  // more than a pipe holds
            sink(sentence);
          }
          return (fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0 ? "" : "it does not block now";
        }) == "");
  const std::string got = read_now(pipe.a.get());
  CHECK(got.size() > 2000);
  CHECK(got.ends_with("x\n"));  // whole lines
}

TEST_CASE("a client whose connection is standard error does not get the text") {
  const Pair tcp = make_tcp_pair();
  const Pair local = make_unix_pair();
  for (const Pair* pair : {&tcp, &local}) {
    CHECK(with_standard_error(pair->b.get(), []() -> std::string {
            standard_error_sink()("one");
            return "";
          }) == "");
    CHECK(read_all(pair->a).empty());
  }
}

TEST_CASE("a descriptor 2 that is closed, and opened again for something else, is left alone") {
  const Pair pipe = make_blocking_pipe();
  CHECK(run_in_child([&]() -> std::string {
          close(STDERR_FILENO);
          const Sink sink = standard_error_sink();
          dup2(pipe.b.get(), STDERR_FILENO);
          sink("one");
          return "";
        }) == "");
  CHECK(read_now(pipe.a.get()).empty());
}

TEST_CASE("a context counts its messages, keeps the last, and tells its sink") {
  std::string told;
  const auto context = make_context(
      {.sink = [&](absl::string_view sentence) { told.append(sentence.data(), sentence.size()); }});
  CHECK(context->messages() == 0);
  CHECK(context->last_message().empty());
  context->tell_sink("one");
  context->tell_sink("two");
  CHECK(context->messages() == 2);
  CHECK(context->last_message() == "two");
  CHECK(told == "onetwo");
}

}  // namespace
}  // namespace coaio::testing
