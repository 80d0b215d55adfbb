#include "coro/frame_memory.h"

#include <array>
#include <cstddef>
#include <new>

#include "backends/check.h"

namespace coaio {
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

// Plain data, valid until the thread's very end; `closed` is set when its memory has been returned.
struct FreeLists {
  std::array<SizeClass, kClasses> classes;
  bool closed;
};

thread_local constinit FreeLists t_lists{};

// Returns what is kept when the thread ends.
struct Returner {
  ~Returner() {
    t_lists.closed = true;
    for (SizeClass& size_class : t_lists.classes) {
      while (size_class.first != nullptr) {
        Free* frame = size_class.first;
        size_class.first = frame->next;
        ::operator delete(frame);
      }
    }
  }
};

constexpr std::size_t class_of(std::size_t size) { return (size - 1) / kClassSize; }
constexpr std::size_t size_of(std::size_t index) { return (index + 1) * kClassSize; }

void* allocate(std::size_t size) {
  void* memory = ::operator new(size, std::nothrow);
  check(memory != nullptr, "no memory for a coroutine frame");
  return memory;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t index = class_of(size);
  if (!COAIO_KEEP_FRAMES || index >= kClasses) {
    return allocate(size);
  }
  SizeClass& kept = t_lists.classes[index];
  if (kept.first == nullptr) {
    return allocate(size_of(index));
  }
  Free* frame = kept.first;
  kept.first = frame->next;
  --kept.count;
  return frame;
}

void free_frame(void* frame, std::size_t size) {
  const std::size_t index = class_of(size);
  if (!COAIO_KEEP_FRAMES || index >= kClasses || t_lists.closed) {
    ::operator delete(frame);
    return;
  }
  SizeClass& kept = t_lists.classes[index];
  if (kept.count >= kBytesPerClass / size_of(index)) {
    ::operator delete(frame);
    return;
  }
  static thread_local const Returner returner;
  static_cast<void>(returner);
  kept.first = new (frame) Free{kept.first};
  ++kept.count;
}

}  // namespace coaio
