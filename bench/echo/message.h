// The content of one echo message: words that only this request of this connection has, at the
// beginning, at the end and every 512 bytes between, so that an echo which is cut, shifted, swapped
// or stale is noticed without comparing every byte.

#ifndef COAIO_BENCH_ECHO_MESSAGE_H_
#define COAIO_BENCH_ECHO_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace coaio::bench {

inline constexpr std::size_t kSmallestMessage = sizeof(std::uint64_t);

struct RequestId {
  std::uint32_t connection;
  std::uint64_t sequence;
};

namespace internal {

// splitmix64's finaliser: neighbouring requests and offsets get unrelated words.
inline std::uint64_t word_at(RequestId id, std::size_t offset) {
  std::uint64_t x =
      (std::uint64_t{id.connection} << 40) + id.sequence + offset * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The offsets are the same for every message of a size, so stamping a new message overwrites all
// words of the last one.
template <typename Visit>
bool all_offsets(std::size_t size, Visit visit) {
  constexpr std::size_t kStride = 512;
  const std::size_t last = size - sizeof(std::uint64_t);
  for (std::size_t offset = 0; offset + sizeof(std::uint64_t) <= last; offset += kStride) {
    if (!visit(offset)) {
      return false;
    }
  }
  return visit(last);
}

}  // namespace internal

inline void stamp(std::span<char> message, RequestId id) {
  internal::all_offsets(message.size(), [&](std::size_t offset) {
    const std::uint64_t word = internal::word_at(id, offset);
    std::memcpy(message.data() + offset, &word, sizeof(word));
    return true;
  });
}

inline bool carries(std::span<const char> message, RequestId id) {
  return internal::all_offsets(message.size(), [&](std::size_t offset) {
    const std::uint64_t word = internal::word_at(id, offset);
    return std::memcmp(message.data() + offset, &word, sizeof(word)) == 0;
  });
}

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_MESSAGE_H_
