// measure: what a piece of work costs, in system calls and in heap allocations, exactly.
//
//   const Cost cost = measure({.backend = backend}, [](Context& context, Meter& meter) {
//     ...                 // warm up, until nothing is made for the first time
//     meter.begin();
//     ...
//     meter.end();
//   });
//   CHECK(cost.waits == kTimes);
//
// The work is done twice: by a traced child, and here under a replaced operator new. Its own
// partners talk by read(2) and write(2), which are not counted; coaio's streams use recv and send.

#ifndef COAIO_TESTS_COSTS_MEASURE_H_
#define COAIO_TESTS_COSTS_MEASURE_H_

#include <cstddef>
#include <functional>

#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/context.h"

namespace coaio::testing {

struct Cost {
  int waits = 0;    // ppoll, epoll_wait, epoll_pwait2, io_uring_enter
  int changes = 0;  // epoll_ctl
  int receives = 0;
  int sends = 0;
  int others = 0;
  std::size_t allocations = 0;

  bool operator==(const Cost&) const = default;
};

doctest::String toString(const Cost& cost);

class Meter {
 public:
  virtual ~Meter() = default;
  virtual void begin() = 0;
  virtual void end() = 0;
};

using Work = std::function<void(Context& context, Meter& meter)>;

// Whether costs can be counted in this build and here. If not, the test case is reported as
// skipped.
bool can_measure();

Cost measure(const ContextOptions& options, const Work& work);

// Checks the work on each back end that this machine lets run.
void measure_on_every_back_end(ContextOptions options, const Work& work,
                               const std::function<void(Backend backend, const Cost& cost)>& check);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_COSTS_MEASURE_H_
