// RingBuffer: a queue in one block of memory. Private to coro/sync.
//
// Threads: one at a time.

#ifndef COAIO_CORO_SYNC_RING_BUFFER_H_
#define COAIO_CORO_SYNC_RING_BUFFER_H_

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace coaio::internal {

template <typename T>
class RingBuffer {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "a channel's elements must have a move constructor that does not throw");

 public:
  // Allocates room for `capacity` elements.
  explicit RingBuffer(std::size_t capacity) : capacity_(capacity), memory_(allocate(capacity)) {}
  RingBuffer(const RingBuffer&) = delete;
  RingBuffer& operator=(const RingBuffer&) = delete;
  ~RingBuffer() {
    while (size_ != 0) {
      static_cast<void>(pop());
    }
    std::allocator<T>().deallocate(memory_, capacity_);
  }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == capacity_; }

  // The buffer must not be full.
  template <typename U>
  void push(U&& value) {
    std::construct_at(memory_ + wrapped(first_ + size_), std::forward<U>(value));
    ++size_;
  }

  // The buffer must not be empty.
  T pop() {
    T* const element = memory_ + first_;
    T taken = std::move(*element);
    std::destroy_at(element);
    first_ = wrapped(first_ + 1);
    --size_;
    return taken;
  }

  // Allocates, and moves the elements.
  void grow(std::size_t capacity) {
    RingBuffer larger(capacity);
    while (size_ != 0) {
      larger.push(pop());
    }
    std::swap(capacity_, larger.capacity_);
    std::swap(memory_, larger.memory_);
    std::swap(first_, larger.first_);
    std::swap(size_, larger.size_);
  }

 private:
  static T* allocate(std::size_t capacity) { return std::allocator<T>().allocate(capacity); }
  std::size_t wrapped(std::size_t index) const {
    return index < capacity_ ? index : index - capacity_;
  }

  std::size_t capacity_;
  T* memory_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_SYNC_RING_BUFFER_H_
