// FirstResume: notices a task that g++ 12 has compiled so that the task never begins. Private to
// coro.
//
// A coroutine that awaits in a condition, and that declares no variable, gets a wrong frame from
// g++ before 13: the code looks for the resume index elsewhere than the frame holds it. The first
// resume returns without running anything, and the task neither suspends nor ends (GCC bug 106188,
// docs/compilers.md). The library notices because await_resume() of the initial suspension was not
// called.
//
// Threads: a first resume has returned before its thread resumes any other coroutine.
// With other compilers the class is empty.

#ifndef COAIO_CORO_FIRST_RESUME_H_
#define COAIO_CORO_FIRST_RESUME_H_

#include <coroutine>

#include "backends/check.h"

namespace coaio::internal {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13

class FirstResume {
 public:
  static constexpr bool kVerified = true;

  // The result of initial_suspend().
  struct Awaiter : std::suspend_always {
    void await_resume() const noexcept { pending_ = false; }
  };

  // The next coroutine that this thread resumes has not begun.
  static void expect() { pending_ = true; }

  // Called after each resume has returned.
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
