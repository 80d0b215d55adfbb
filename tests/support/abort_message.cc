#include "tests/support/abort_message.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string>

#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

constexpr unsigned kPatienceSeconds = 30;

[[noreturn]] void be_child(int pipe, const std::function<void()>& work) {
  dup2(pipe, STDERR_FILENO);
  std::signal(SIGABRT, SIG_DFL);  // doctest reports it, which is the parent's business
  std::signal(SIGALRM, SIG_DFL);
  alarm(kPatienceSeconds);
  work();
  _exit(EXIT_SUCCESS);
}

std::string read_to_end(int pipe) {
  std::string all;
  std::array<char, 1024> block{};
  for (ssize_t count = 0; (count = read(pipe, block.data(), block.size())) > 0;) {
    all.append(block.data(), static_cast<std::size_t>(count));
  }
  return all;
}

}  // namespace

std::string abort_message(const std::function<void()>& work) {
  std::array<int, 2> ends{-1, -1};
  REQUIRE(pipe(ends.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(ends[0]);
    be_child(ends[1], work);
  }
  close(ends[1]);
  const std::string words = read_to_end(ends[0]);
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : "it did not abort: " + words;
}

}  // namespace coaio::testing
