// How the echo programs end when they cannot go on: one sentence on stderr and a code that the
// orchestrator can tell apart.

#ifndef COAIO_BENCH_ECHO_EXIT_H_
#define COAIO_BENCH_ECHO_EXIT_H_

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace coaio::bench {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
// The contender cannot run on this machine (no io_uring, say), which is a finding and not a
// failure.
inline constexpr int kExitUnavailable = 3;

[[noreturn]] inline void exit_with(int code, const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  std::exit(code);
}

// check_call passes the result of a system call through, unless it is the -1 that comes with errno:
// then it ends the program.
template <typename Result>
Result check_call(Result result, const char* what) {
  if (result < 0) {
    exit_with(kExitFailed, std::string(what) + " failed: " + std::strerror(errno));
  }
  return result;
}

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_EXIT_H_
