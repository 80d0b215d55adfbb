#include "tests/support/system_calls.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>

namespace coaio::testing {
namespace {

void require(bool condition, const char* sentence) {
  if (!condition) {
    std::perror(sentence);
    std::abort();
  }
}

// No kernel has calls of these numbers: they are marks for the tracer.
constexpr long kBegin = 7001;
constexpr long kEnd = 7002;

[[noreturn]] void be_child(const std::function<void(CallCounter&)>& work) {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
    _exit(EXIT_FAILURE);
  }
  raise(SIGSTOP);
  CallCounter counter;
  work(counter);
  _exit(EXIT_SUCCESS);
}

// The number of the call that the child enters, or -1 if it leaves one.
long entered_call(pid_t child) {
  __ptrace_syscall_info info{};
  ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
  return info.op == PTRACE_SYSCALL_INFO_ENTRY ? static_cast<long>(info.entry.nr) : -1;
}

// Lets the child run to its next stop. False when it has ended.
bool next_stop(pid_t child, int& status, int signal) {
  return ptrace(PTRACE_SYSCALL, child, nullptr, signal) == 0 &&
         waitpid(child, &status, 0) == child && WIFSTOPPED(status);
}

bool is_call(int status) { return WSTOPSIG(status) == (SIGTRAP | 0x80); }

std::map<long, int> follow(pid_t child, int& status) {
  std::map<long, int> counts;
  bool counting = false;
  int signal = 0;
  while (next_stop(child, status, signal)) {
    signal = is_call(status) ? 0 : WSTOPSIG(status);
    const long call = is_call(status) ? entered_call(child) : -1;
    if (call == kBegin || call == kEnd) {
      counting = call == kBegin;
    } else if (counting && call >= 0) {
      ++counts[call];
    }
  }
  return counts;
}

}  // namespace

void CallCounter::begin() { syscall(kBegin); }
void CallCounter::end() { syscall(kEnd); }

std::map<long, int> count_system_calls(const std::function<void(CallCounter&)>& work) {
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    be_child(work);
  }
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid");
  if (!WIFSTOPPED(status)) {
    return {};  // may not be traced
  }
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  std::map<long, int> counts = follow(child, status);
  require(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS, "the traced child has died");
  return counts;
}

bool tracing_works() {
  return !count_system_calls([](CallCounter& counter) {
            counter.begin();
            getppid();
            counter.end();
          }).empty();
}

}  // namespace coaio::testing
