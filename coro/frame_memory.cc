#include "coro/frame_memory.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

#include "backends/check.h"

namespace coaio::internal {
namespace {

#if defined(__SANITIZE_ADDRESS__)
#define COAIO_KEEP_FRAMES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COAIO_KEEP_FRAMES 0
#endif
#endif
#ifndef COAIO_KEEP_FRAMES
#define COAIO_KEEP_FRAMES 1
#endif

constexpr std::size_t kClassSize = 64;
constexpr std::size_t kClasses = 32;  // frames of up to 2 KiB
constexpr std::size_t kBytesPerClass = 256 * 1024;

struct Free {
  Free* next;
};

struct SizeClass {
  Free* first = nullptr;
  std::size_t count = 0;
};

// Plain data, so that it can be used until the very end of the thread. `closed`: the kept frames
// were returned, and no further one is kept.
struct FreeLists {
  std::array<SizeClass, kClasses> classes;
  std::array<SizeClass, kClasses> aligned_classes;
  bool closed;
};

thread_local constinit FreeLists t_lists{};

template <typename Return>
void return_all(std::array<SizeClass, kClasses>& classes, Return give_back) {
  for (std::size_t index = 0; index < kClasses; ++index) {
    while (Free* frame = classes[index].first) {
      classes[index].first = frame->next;
      give_back(frame, index);
    }
  }
}

constexpr std::size_t class_of(std::size_t size) { return (size - 1) / kClassSize; }
constexpr std::size_t size_of(std::size_t index) { return (index + 1) * kClassSize; }

// The alignment of all kept frames of a class that need more than kFrameAlignment: the most that a
// frame of this size can need. g++ has no other measure, and then any two frames of a class fit.
constexpr std::align_val_t kept_alignment(std::size_t index) {
  return std::align_val_t(std::max(kClassSize, alignment_by_size(size_of(index))));
}

constexpr bool has_aligned_class(std::size_t index, std::size_t alignment) {
  return index < kClasses && std::align_val_t(alignment) <= kept_alignment(index);
}

// Returns the kept frames when the thread ends.
struct Returner {
  ~Returner() {
    t_lists.closed = true;
    return_all(t_lists.classes, [](Free* frame, std::size_t) { ::operator delete(frame); });
    return_all(t_lists.aligned_classes, [](Free* frame, std::size_t index) {
      ::operator delete(frame, kept_alignment(index));
    });
  }
};

void* checked(void* memory) {
  check(memory != nullptr, "no memory for a coroutine frame");
  return memory;
}

void* allocate(std::size_t size) { return checked(::operator new(size, std::nothrow)); }

void* allocate(std::size_t size, std::align_val_t alignment) {
  return checked(::operator new(size, alignment, std::nothrow));
}

// A kept frame; null if there is none.
void* take(SizeClass& kept) {
  Free* frame = kept.first;
  if (frame != nullptr) {
    kept.first = frame->next;
    --kept.count;
  }
  return frame;
}

// Returns whether the frame was kept.
bool keep(std::array<SizeClass, kClasses>& classes, std::size_t index, void* frame) {
  if (!COAIO_KEEP_FRAMES || index >= kClasses || t_lists.closed) {
    return false;
  }
  SizeClass& kept = classes[index];
  if (kept.count >= kBytesPerClass / size_of(index)) {
    return false;
  }
  static thread_local const Returner returner;
  static_cast<void>(returner);
  kept.first = new (frame) Free{kept.first};
  ++kept.count;
  return true;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t index = class_of(size);
  if (!COAIO_KEEP_FRAMES || index >= kClasses) {
    return allocate(size);
  }
  void* frame = take(t_lists.classes[index]);
  return frame != nullptr ? frame : allocate(size_of(index));
}

void free_frame(void* frame, std::size_t size) {
  if (!keep(t_lists.classes, class_of(size), frame)) {
    ::operator delete(frame);
  }
}

void* allocate_aligned_frame(std::size_t size, std::size_t alignment) {
  const std::size_t index = class_of(size);
  if (!has_aligned_class(index, alignment)) {
    return allocate(size, std::align_val_t(alignment));
  }
  void* frame = COAIO_KEEP_FRAMES ? take(t_lists.aligned_classes[index]) : nullptr;
  return frame != nullptr ? frame : allocate(size_of(index), kept_alignment(index));
}

void free_aligned_frame(void* frame, std::size_t size, std::size_t alignment) {
  const std::size_t index = class_of(size);
  if (!has_aligned_class(index, alignment)) {
    ::operator delete(frame, std::align_val_t(alignment));
  } else if (!keep(t_lists.aligned_classes, index, frame)) {
    ::operator delete(frame, kept_alignment(index));
  }
}

}  // namespace coaio::internal
