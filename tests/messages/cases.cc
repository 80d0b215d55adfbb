// Programs that must not compile, each behind a macro: messages_test.py reads what compilers say.

#include <chrono>
#include <coroutine>
#include <utility>

#include "coaio.h"

// A coroutine that is none of coaio's.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

coaio::Task<int> answer() { co_return 42; }

#if defined(NOTHING_WRONG)
coaio::Task<void> ask() {
  auto task = answer();
  co_await std::move(task);
}
#elif defined(FOREIGN)  // six errors
Foreign task() { co_await answer(); }
Foreign sleep() { co_await coaio::sleep_for(std::chrono::seconds(1)); }
Foreign wait() { co_await coaio::readable(0); }
Foreign yield() { co_await coaio::yield(); }
Foreign join(coaio::TaskGroup& group) { co_await group.join(); }
Foreign read(coaio::TcpStream& stream) { co_await stream.read_some({}); }
#elif defined(LVALUE)
coaio::Task<void> ask() {
  auto task = answer();
  co_await task;
}
#elif defined(OR_RETURN)  // two errors
coaio::Task<void> ask() { co_await coaio::or_return(absl::CancelledError()); }
coaio::Task<int> ask_for_more() {
  co_await coaio::or_return(coaio::sleep_for(std::chrono::seconds(1)));
  co_return 1;
}
#endif
