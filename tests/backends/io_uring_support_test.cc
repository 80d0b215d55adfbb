// The answers of the io_uring probe that a process keeps. A program of its own, because a process
// keeps the first success.

#include "backends/io_uring_support.h"

#include <sys/resource.h>

#include <cerrno>
#include <string>

#include "absl/status/status.h"
#include "backends/errno_status.h"
#include "doctest/doctest.h"
#include "tests/support/child.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"

namespace coaio::internal {
namespace {

using namespace coaio::testing;

// Probes while the process may open no further descriptor, and once more after that.
std::string probe_twice() {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next_descriptor = make_eventfd(0).get();
  const rlimit none_left{.rlim_cur = static_cast<rlim_t>(next_descriptor),
                         .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none_left);
  const absl::Status first = io_uring_support();
  setrlimit(RLIMIT_NOFILE, &before);
  if (errno_of(first) != EMFILE) {
    return "the first probe: " + first.ToString();
  }
  return io_uring_support().ToString();
}

TEST_CASE("a context made without a descriptor to spare does not keep later ones from io_uring") {
  const std::string usable = run_in_child([] { return io_uring_support().ToString(); });
  if (usable != "OK") {
    return report_skipped(usable);
  }
  CHECK(run_in_child(probe_twice) == "OK");
}

}  // namespace
}  // namespace coaio::internal
