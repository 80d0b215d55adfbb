// FirstResume: notices a task that g++ 12 compiled so that it never begins. Private to coro.
//
// g++ before 13 gives a coroutine that awaits in a condition, and declares no variable, a frame
// whose resume index is not where the code looks for it: the first resume returns without having
// run anything, and the task neither suspends nor ends (GCC bug 106188, docs/compilers.md). What
// the library can see is that the awaiter of the initial suspension was not asked for its result.
//
// Threads: a first resume is over before its thread resumes anything else.
// With other compilers nothing of this is compiled in.

#ifndef COAIO_CORO_FIRST_RESUME_H_
#define COAIO_CORO_FIRST_RESUME_H_

#include <coroutine>

#include "backends/check.h"

namespace coaio::internal {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13

class FirstResume {
 public:
  static constexpr bool kVerified = true;

  // What initial_suspend() returns.
  struct Awaiter : std::suspend_always {
    void await_resume() const noexcept { pending_ = false; }
  };

  // The next coroutine that this thread resumes has not begun.
  static void expect() { pending_ = true; }

  // Called when a resume has returned.
  static void verify() {
    check(!pending_,
          "a task did not begin, because g++ 12 compiles a coroutine wrongly that awaits in the "
          "condition of an if, a loop or a switch and declares no variable; declare a variable in "
          "its outermost block, as in `auto status = co_await ...;`, or compile with clang "
          "(docs/compilers.md; tools/find_compiler_traps finds such lines)");
  }

 private:
  static constinit inline thread_local bool pending_ = false;
};

#else

struct FirstResume {
  static constexpr bool kVerified = false;
  using Awaiter = std::suspend_always;
  static void expect() {}
  static void verify() {}
};

#endif

}  // namespace coaio::internal

#endif  // COAIO_CORO_FIRST_RESUME_H_
