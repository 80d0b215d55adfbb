// Patience: a bound on a wait that has no bound of its own. When it is over, the process aborts,
// and doctest names the test case.
//
//   const Patience patience;
//   run(context, task);
//
// Threads: one at a time in a process, which has no other use for SIGALRM.

#ifndef COAIO_TESTS_SUPPORT_PATIENCE_H_
#define COAIO_TESTS_SUPPORT_PATIENCE_H_

namespace coaio::testing {

class Patience {
 public:
  explicit Patience(unsigned seconds = 50);
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;
  ~Patience();
};

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_PATIENCE_H_
