#include "runtime/run_slice.h"

#include <chrono>

#include "doctest/doctest.h"
#include "runtime/time/clock.h"

namespace coaio::testing {

using namespace internal;
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// How many nodes run in one slice, each of which takes this long.
int nodes_of(RunSlice& slice, ManualClock& clock, nanoseconds each) {
  slice.begin();
  int nodes = 0;
  while (slice.may_run()) {
    clock.advance(each);
    ++nodes;
  }
  return nodes;
}

TEST_CASE("a slice of short nodes ends after its number of nodes") {
  ManualClock clock;
  RunSlice slice(clock, 1000, 50us);
  CHECK(nodes_of(slice, clock, 0ns) == 1000);
  CHECK(nodes_of(slice, clock, 1ns) == 1000);
}

TEST_CASE("a slice of nodes that take some time ends after its time") {
  ManualClock clock;
  RunSlice slice(clock, 1000, 50us);
  nodes_of(slice, clock, 100ns);
  const int nodes = nodes_of(slice, clock, 100ns);
  CHECK(nodes >= 500);
  CHECK(nodes <= 500 + 33);  // its begin is the first reading of the clock
}

TEST_CASE("a slice of long nodes ends within one node after its time, once one was measured") {
  ManualClock clock;
  RunSlice slice(clock, 1000, 50us);
  CHECK(nodes_of(slice, clock, 10us) <= 33 + 6);
  CHECK(nodes_of(slice, clock, 10us) <= 6);
  CHECK(nodes_of(slice, clock, 10us) <= 6);
  CHECK(nodes_of(slice, clock, 1ms) == 1);
  CHECK(nodes_of(slice, clock, 1ms) == 1);
}

TEST_CASE("a slice that becomes short again is measured anew") {
  ManualClock clock;
  RunSlice slice(clock, 1000, 50us);
  nodes_of(slice, clock, 1ms);
  nodes_of(slice, clock, 0ns);
  CHECK(nodes_of(slice, clock, 0ns) == 1000);
}

TEST_CASE("a slice lets at least one node run, whatever its bounds are") {
  ManualClock clock;
  RunSlice of_no_nodes(clock, 0, 50us);
  CHECK(nodes_of(of_no_nodes, clock, 0ns) == 1);
  RunSlice of_no_time(clock, 1000, 0ns);
  CHECK(nodes_of(of_no_time, clock, 1us) <= 33);
  CHECK(nodes_of(of_no_time, clock, 1us) == 1);
  RunSlice endless(clock, 1000, nanoseconds::max());
  CHECK(nodes_of(endless, clock, 1s) == 1000);
  CHECK(nodes_of(endless, clock, 1s) == 1000);
}

TEST_CASE("a slice that has ended stays so until it begins again") {
  ManualClock clock;
  RunSlice slice(clock, 2, 50us);
  CHECK(nodes_of(slice, clock, 0ns) == 2);
  CHECK(slice.spent());
  CHECK(!slice.may_run());
  slice.begin();
  CHECK(!slice.spent());
  CHECK(slice.may_run());
}

}  // namespace
}  // namespace coaio::testing
