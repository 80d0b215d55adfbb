// allocations_so_far: how often the process has allocated from the heap, so that a test can count
// what a piece of code allocates.
//
//   const std::size_t before = allocations_so_far();
//   work();
//   const std::size_t made = allocations_so_far() - before;  // before CHECK, which allocates
//   CHECK(made == 0);
//
// Linking this replaces operator new; with a sanitizer, which has its own, it hooks malloc.
//
// Threads: any; the count includes the allocations of all threads.

#ifndef COAIO_TESTS_SUPPORT_ALLOCATIONS_H_
#define COAIO_TESTS_SUPPORT_ALLOCATIONS_H_

#include <cstddef>

namespace coaio::testing {

std::size_t allocations_so_far();

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_ALLOCATIONS_H_
