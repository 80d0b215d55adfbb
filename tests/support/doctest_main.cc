// The one translation unit that compiles doctest's implementation, which is most of its header.

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <iostream>
#include <string_view>

#include "doctest/doctest.h"
#include "tests/support/skipped.h"

namespace coaio::testing {

void report_skipped(std::string_view reason) {
  // A line of its own, in the form that tools/report_tests.py looks for.
  std::cout << "SKIPPED: " << doctest::getContextOptions()->currentTest->m_name << ": " << reason
            << "\n"
            << std::flush;
}

}  // namespace coaio::testing
