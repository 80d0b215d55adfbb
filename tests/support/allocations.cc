#include "tests/support/allocations.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/support/sanitized.h"

#if COAIO_SANITIZED
// Both compilers' sanitizers have this function; g++ has no header for it.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*,
                                                                             std::size_t),
                                                         void (*free_hook)(const volatile void*));
#endif

namespace coaio::testing {
namespace {

// Relaxed: a number that nothing else depends on.
std::atomic<std::size_t> allocations = 0;

void count() { allocations.fetch_add(1, std::memory_order_relaxed); }

#if COAIO_SANITIZED
const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { count(); }, [](const volatile void*) {});
#endif

}  // namespace

std::size_t allocations_so_far() { return allocations.load(std::memory_order_relaxed); }

}  // namespace coaio::testing

#if !COAIO_SANITIZED

// The nothrow and array forms of the library call these.

void* operator new(std::size_t size) {
  coaio::testing::count();
  if (void* memory = std::malloc(size)) {
    return memory;
  }
  std::abort();
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  coaio::testing::count();
  const auto boundary = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary)) {
    return memory;
  }
  std::abort();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
