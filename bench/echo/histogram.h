// Latencies in nanoseconds, counted in log-linear buckets: exact below 256 ns, and from there 128
// buckets per power of two, so a bucket is less than 0.8 % of its value wide, whatever the value.
//
//   Histogram latencies;
//   latencies.record(25'300);
//   int64_t p99 = latencies.percentile(0.99);
//
// Recording neither allocates nor branches on the value's magnitude. *Threads*: one at a time.

#ifndef COAIO_BENCH_ECHO_HISTOGRAM_H_
#define COAIO_BENCH_ECHO_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace coaio::bench {

class Histogram {
 public:
  struct Bucket {
    std::int64_t low;    // smallest value counted here
    std::int64_t width;  // number of values counted here
    std::uint64_t count;
  };

  // Larger values (73 minutes) are counted in the last bucket; max() stays exact.
  static constexpr std::int64_t kLargest = (std::int64_t{1} << 42) - 1;

  void record(std::int64_t value) {
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    ++count_;
    ++counts_[index_of(value)];
  }

  std::uint64_t count() const { return count_; }
  std::int64_t min() const { return count_ == 0 ? 0 : min_; }
  std::int64_t max() const { return max_; }

  // The smallest recorded value that at least `fraction` of all values do not exceed, to the
  // bucket's middle. 0 if empty.
  std::int64_t percentile(double fraction) const {
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
    const std::uint64_t rank =
        std::clamp<std::uint64_t>(wanted, 1, std::max<std::uint64_t>(count_, 1));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= rank) {
        return std::clamp(low_of(i) + width_of(i) / 2, min(), max());
      }
    }
    return 0;
  }

  // Calls visit(Bucket) for each bucket that is not empty, in ascending order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < kBuckets; ++i) {
      if (counts_[i] != 0) {
        visit(Bucket{low_of(i), width_of(i), counts_[i]});
      }
    }
  }

 private:
  static constexpr int kHalfBits = 7;
  static constexpr std::size_t kHalf = std::size_t{1} << kHalfBits;
  static constexpr int kOctaves = 42 - kHalfBits;
  static constexpr std::size_t kBuckets = (kOctaves + 1) * kHalf;

  // The value's leading eight bits select the bucket; octave is how many bits are dropped below
  // them. Eight leading bits lie in [kHalf, 2 * kHalf), so consecutive octaves continue each
  // other's numbering.
  static std::size_t index_of(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(std::clamp<std::int64_t>(value, 0, kLargest));
    const int octave = std::max(0, static_cast<int>(std::bit_width(bits)) - (kHalfBits + 1));
    return static_cast<std::size_t>(octave) * kHalf + static_cast<std::size_t>(bits >> octave);
  }

  static std::size_t octave_of(std::size_t index) {
    return index < 2 * kHalf ? 0 : index / kHalf - 1;
  }
  static std::int64_t width_of(std::size_t index) { return std::int64_t{1} << octave_of(index); }
  static std::int64_t low_of(std::size_t index) {
    const std::size_t octave = octave_of(index);
    return static_cast<std::int64_t>((index - octave * kHalf) << octave);
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::int64_t min_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t max_ = 0;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_HISTOGRAM_H_
