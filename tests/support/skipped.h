// Saying that a test case cannot run here. A case that returns silently would count as passed.
//
//   if (!io_uring_works()) return report_skipped("io_uring is refused: EPERM");
//
// tools/test repeats the reason and counts the case as skipped. The case must return at once.

#ifndef COAIO_TESTS_SUPPORT_SKIPPED_H_
#define COAIO_TESTS_SUPPORT_SKIPPED_H_

#include <string_view>

namespace coaio::testing {

void report_skipped(std::string_view reason);

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_SKIPPED_H_
