// count_system_calls: which system calls a piece of code makes, exactly.
//
//   const auto calls = count_system_calls([](CallCounter& counter) {
//     const Pair pair = make_pipe();             // not counted
//     counter.begin();
//     write(pair.b.get(), "x", 1);
//     counter.end();
//   });
//   CHECK(calls.at(SYS_write) == 1);
//
// The code runs in a child that this process traces; there must be no other thread.

#ifndef COAIO_TESTS_SUPPORT_SYSTEM_CALLS_H_
#define COAIO_TESTS_SUPPORT_SYSTEM_CALLS_H_

#include <functional>
#include <map>

namespace coaio::testing {

class CallCounter {
 public:
  // To be called in the child, any number of times, in turn.
  void begin();
  void end();
};

// Calls by number (SYS_...). Empty where tracing is forbidden; aborts if the child dies.
std::map<long, int> count_system_calls(const std::function<void(CallCounter&)>& work);

// Not in a sandbox that forbids it, nor under a debugger.
bool tracing_works();

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_SYSTEM_CALLS_H_
