#include "coro/frame_memory.h"

#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "tests/support/allocations.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"

namespace coaio::testing {

using namespace internal;
namespace {

TEST_CASE("memory of every size can be written from end to end") {
  for (std::size_t size = 1; size < 10'000; size += 37) {
    void* frame = allocate_frame(size);
    std::memset(frame, 0x5a, size);
    free_frame(frame, size);
  }
}

TEST_CASE("a frame of a size that was freed before costs no allocation") {
  if (kSanitized) {
    return report_skipped("a sanitized build keeps no frames");
  }
  free_frame(allocate_frame(200), 200);
  const std::size_t before = allocations_so_far();
  for (int i = 0; i < 100; ++i) {
    void* frame = allocate_frame(200 - static_cast<std::size_t>(i) % 8);  // of one class
    free_frame(frame, 200);
  }
  const std::size_t made = allocations_so_far() - before;
  CHECK(made == 0);
}

TEST_CASE("what exceeds the cap is returned") {
  constexpr std::size_t kSize = 1000;
  constexpr std::size_t kFrames = 1000;  // far more than a thread keeps of that size
  std::vector<void*> frames(kFrames);
  for (int round = 0; round < 2; ++round) {
    for (void*& frame : frames) {
      frame = allocate_frame(kSize);
    }
    const std::size_t before = allocations_so_far();
    for (void* frame : frames) {
      free_frame(frame, kSize);
    }
    const std::size_t made = allocations_so_far() - before;
    CHECK(made == 0);
  }
  const std::size_t before = allocations_so_far();
  for (void*& frame : frames) {
    frame = allocate_frame(kSize);
  }
  const std::size_t made = allocations_so_far() - before;
  CHECK(made >= kFrames / 2);
  for (void* frame : frames) {
    free_frame(frame, kSize);
  }
}

TEST_CASE("a frame may be freed by another thread, which keeps it and returns it at its end") {
  std::vector<void*> frames(100);
  for (void*& frame : frames) {
    frame = allocate_frame(300);
  }
  std::thread([&] {
    for (void* frame : frames) {
      free_frame(frame, 300);
    }
    free_frame(allocate_frame(300), 300);
  }).join();  // the leak sanitizer sees what is not returned
}

}  // namespace
}  // namespace coaio::testing
