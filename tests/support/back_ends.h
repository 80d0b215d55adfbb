// The back ends that a contract runs over.
//
//   TEST_CASE("arming a ready descriptor reports it") {
//     on_every_back_end([](FdMonitor& monitor) { ... });
//   }
//
// Besides the three of production, io_uring runs with the flags of older kernels and with rings so
// small that they are always full or overflowing, and the fake runs on poll(2).

#ifndef COAIO_TESTS_SUPPORT_BACK_ENDS_H_
#define COAIO_TESTS_SUPPORT_BACK_ENDS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/fd_monitor.h"

namespace coaio::testing {

struct BackEnd {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<FdMonitor>>()> make;
};

const std::vector<BackEnd>& all_back_ends();

// Runs the clause on a fresh monitor of each back end that this machine lets run; which one shows
// in the report of a failure. A refused one is skipped, which the contract test reports.
void on_every_back_end(const std::function<void(FdMonitor&)>& clause);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_BACK_ENDS_H_
