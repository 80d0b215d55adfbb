// TestTimeout: a bound on a wait that has no bound of its own. When it is over, the process aborts,
// and doctest names the test case.
//
//   const TestTimeout timeout;
//   run(context, task);
//
// Threads: one at a time in a process, which has no other use for SIGALRM.

#ifndef COAIO_TESTS_SUPPORT_TEST_TIMEOUT_H_
#define COAIO_TESTS_SUPPORT_TEST_TIMEOUT_H_

namespace coaio::testing {

class TestTimeout {
 public:
  explicit TestTimeout(unsigned seconds = 50);
  TestTimeout(const TestTimeout&) = delete;
  TestTimeout& operator=(const TestTimeout&) = delete;
  ~TestTimeout();
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_TEST_TIMEOUT_H_
