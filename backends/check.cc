#include "backends/check.h"

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace coaio::internal {

void fail(const char* sentence, std::source_location where) {
  std::fprintf(stderr, "coaio: %s:%u: %s\n", where.file_name(), where.line(), sentence);
  std::abort();
}

}  // namespace coaio::internal
