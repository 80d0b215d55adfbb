// Whatever lives in a coroutine frame has the alignment that its type asks for. Each case shifts
// the heap between frames, so that a frame that is aligned by luck in one round is not in another.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "coro/frame_memory.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"

namespace coaio::testing {

using namespace internal;
namespace {

template <std::size_t kAlignment, std::size_t kBytes>
struct alignas(kAlignment) Aligned {
  char bytes[kBytes] = {};
};

// Not inlined: the compiler would conclude the answer from the type.
[[gnu::noinline]] std::uintptr_t number(const volatile void* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

template <typename T>
bool is_aligned(const T& object) {
  return number(&object) % alignof(T) == 0;
}

template <typename T>
Task<bool> local() {
  T object{};
  const bool before = is_aligned(object);
  co_await yield();
  co_return before&& is_aligned(object);
}

template <typename T>
Task<bool> parameter(T object) {
  co_await yield();
  co_return is_aligned(object);
}

template <typename T>
Task<T> result() {
  co_await yield();
  co_return T();
}

// Awaits many frames of one kind at once, each at another place of the heap.
template <typename Make>
Task<bool> all_aligned(Make make) {
  bool aligned = true;
  std::vector<std::unique_ptr<char[]>> shifts;
  std::vector<Task<bool>> tasks;
  for (std::size_t i = 0; i < 16; ++i) {
    shifts.push_back(std::make_unique<char[]>(16 * (i % 5) + 8));
    tasks.push_back(make());
  }
  for (Task<bool>& task : tasks) {
    const bool one = co_await std::move(task);
    aligned = aligned && one;
  }
  co_return aligned;
}

template <typename T>
void check_all_places() {
  CAPTURE(alignof(T));
  CAPTURE(sizeof(T));
  const auto context = make_context();
  CHECK(run(*context, all_aligned([] { return local<T>(); })));
  CHECK(run(*context, all_aligned([] { return parameter<T>(T()); })));
  run(*context, result<T>());
}

TEST_CASE("locals and parameters of a task are aligned as their types ask") {
  check_all_places<Aligned<16, 16>>();
  check_all_places<Aligned<32, 1>>();
  check_all_places<Aligned<32, 100>>();
  check_all_places<Aligned<64, 1>>();
  check_all_places<Aligned<64, 500>>();
  check_all_places<Aligned<128, 1>>();
  check_all_places<Aligned<64, 3000>>();
  check_all_places<Aligned<4096, 4096>>();  // a buffer for O_DIRECT
}

TEST_CASE("a vector register that lives across a suspension is stored where it may be") {
  using Vector __attribute__((vector_size(32))) = double;
  const auto context = make_context();
  CHECK(run(*context, all_aligned([] { return local<Vector>(); })));
}

TEST_CASE("a bottom half that is a local of a task stands on its cache line") {
  const auto context = make_context();
  const auto with_half = [](Context& here) -> Task<bool> {
    BottomHalf half(here, [] {});
    co_await yield();
    co_return number(&half) % alignof(BottomHalf) == 0;
  };
  CHECK(run(*context, all_aligned([&] { return with_half(*context); })));
}

Task<std::size_t> frames_of(std::size_t count) {
  std::size_t aligned = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool one = co_await local<Aligned<64, 64>>();
    aligned += one ? 1U : 0U;
  }
  co_return aligned;
}

TEST_CASE("an aligned frame of a size that was freed before costs no allocation") {
  if (kSanitized) {
    return report_skipped("a sanitized build keeps no frames");
  }
  const auto context = make_context();
  CHECK(run(*context, frames_of(3)) == 3);
  const auto allocations_of = [&](std::size_t count) {
    const std::size_t before = allocations_so_far();
    CHECK(run(*context, frames_of(count)) == count);
    return allocations_so_far() - before;
  };
  CHECK(allocations_of(1000) == allocations_of(1));
}

TEST_CASE("a frame that asks for no alignment is no larger than before") {
  CHECK(alignment_by_size(24) <= kFrameAlignment);
  CHECK(alignment_by_size(32) <= kFrameAlignment);
  CHECK(alignment_by_size(176) <= kFrameAlignment);
  CHECK(alignment_by_size(96) == 32);
  CHECK(alignment_by_size(192) == 64);
  CHECK(alignment_by_size(8192) == 4096);
}

}  // namespace
}  // namespace coaio::testing
