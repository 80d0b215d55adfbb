// Frame memory: where coroutine frames come from, and how they are aligned.
//
// Frames of equal size come and go at a high rate. So each thread keeps the frames that it freed,
// by size class and up to a cap, and uses them again. Frames beyond the cap, and all frames after
// the thread's end, go to operator new and delete. The thread that frees a frame need not be the
// thread that allocated it. Under the address sanitizer no frame is kept, so that a use after free
// is seen.
//
// A frame is as aligned as its coroutine needs: for an alignas(64) local, an AVX register that
// lives across a suspension, a parameter, a result. A coroutine that needs no more than the default
// alignment (16) pays nothing for this. C++20 hands no alignment to a promise's operator new, so
// the alignment comes from elsewhere:
//   clang: from __builtin_coro_align(), which is exact. Its value belongs to the coroutine into
//     which operator new and delete are inlined, hence always_inline.
//   g++: from the size, which g++ rounds up to a multiple of the alignment. A frame whose size is
//     by chance a multiple of 32 or more is therefore aligned more than it needs, which costs a few
//     bytes, and no time where a kept frame is reused.
//   Other compilers: an error at compile time, which says what to do.
//
// Errors: exhausted memory terminates.

#ifndef COAIO_CORO_FRAME_MEMORY_H_
#define COAIO_CORO_FRAME_MEMORY_H_

#include <cstddef>

namespace coaio::internal {

// allocate_frame() gives this alignment.
inline constexpr std::size_t kFrameAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size);

// The same for an alignment that exceeds kFrameAlignment.
void* allocate_aligned_frame(std::size_t size, std::size_t alignment);
void free_aligned_frame(void* frame, std::size_t size, std::size_t alignment);

// The largest alignment that a frame of this size can need: the size is a multiple of it, and the
// two pointers at the start of each frame take its first multiple.
constexpr std::size_t alignment_by_size(std::size_t size) {
  const std::size_t lowest_bit = size & -size;
  return lowest_bit == size ? size / 2 : lowest_bit;
}

#if defined(__clang__)
#define COAIO_ALIGNMENT_OF_FRAME(size) __builtin_coro_align()
#elif defined(__GNUC__)
#define COAIO_ALIGNMENT_OF_FRAME(size) ::coaio::internal::alignment_by_size(size)
#else
#error coaio knows the alignment of coroutine frames for clang and g++ only: add this compiler here
#endif

// The base of promises whose frames come from here.
class FrameMemory {
 public:
  [[gnu::always_inline]] static void* operator new(std::size_t size) {
    const std::size_t alignment = COAIO_ALIGNMENT_OF_FRAME(size);
    return alignment <= kFrameAlignment ? allocate_frame(size)
                                        : allocate_aligned_frame(size, alignment);
  }
  [[gnu::always_inline]] static void operator delete(void* frame, std::size_t size) {
    const std::size_t alignment = COAIO_ALIGNMENT_OF_FRAME(size);
    if (alignment <= kFrameAlignment) {
      free_frame(frame, size);
    } else {
      free_aligned_frame(frame, size, alignment);
    }
  }

 protected:
  FrameMemory() = default;
  ~FrameMemory() = default;
};

#undef COAIO_ALIGNMENT_OF_FRAME

}  // namespace coaio::internal

#endif  // COAIO_CORO_FRAME_MEMORY_H_
