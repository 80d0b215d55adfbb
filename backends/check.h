// check: a condition that only a programming error can break, and a sentence that tells the fix.

#ifndef COAIO_BACKENDS_CHECK_H_
#define COAIO_BACKENDS_CHECK_H_

#include <source_location>

namespace coaio::internal {

// Prints "coaio: file:line: sentence" on standard error and aborts.
[[noreturn]] void fail(const char* sentence,
                       std::source_location where = std::source_location::current());

constexpr void check(bool condition, const char* sentence,
                     std::source_location where = std::source_location::current()) {
  if (!condition) [[unlikely]] {
    fail(sentence, where);
  }
}

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_CHECK_H_
