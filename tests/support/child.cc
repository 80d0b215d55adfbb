#include "tests/support/child.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

constexpr unsigned kPatienceSeconds = 30;

[[noreturn]] void be_child(int pipe, const std::function<std::string()>& work) {
  std::signal(SIGALRM, SIG_DFL);
  alarm(kPatienceSeconds);
  const std::string result = work();
  const bool told =
      write(pipe, result.data(), result.size()) == static_cast<ssize_t>(result.size());
  _exit(told ? EXIT_SUCCESS : EXIT_FAILURE);
}

std::string read_to_end(int pipe) {
  std::string all;
  std::array<char, 1024> block{};
  for (;;) {
    const ssize_t count = read(pipe, block.data(), block.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return all;
    }
    all.append(block.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string run_in_child(const std::function<std::string()>& work) {
  std::array<int, 2> pipe_ends{-1, -1};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(pipe_ends[0]);
    be_child(pipe_ends[1], work);
  }
  close(pipe_ends[1]);
  const std::string result = read_to_end(pipe_ends[0]);
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) {
    return result + "died of " + strsignal(WTERMSIG(status));
  }
  return WEXITSTATUS(status) == EXIT_SUCCESS ? result : result + "could not report";
}

IdleChild::IdleChild() : pid_(fork()) {
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    std::signal(SIGALRM, SIG_DFL);
    alarm(kPatienceSeconds);
    for (;;) {
      pause();
    }
  }
}

IdleChild::~IdleChild() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace coaio::testing
