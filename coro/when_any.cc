#include "coro/when_any.h"

#include <cstddef>

namespace coaio::internal {

// Out of line: a coroutine that moves to another thread must not keep the address of a
// thread-local.
std::size_t next_to_begin(std::size_t count) {
  static thread_local std::size_t calls = 0;
  return calls++ % count;
}

}  // namespace coaio::internal
