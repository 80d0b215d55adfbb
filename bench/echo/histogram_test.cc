#include "bench/echo/histogram.h"

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace coaio::bench {
namespace {

double relative_error(std::int64_t estimate, std::int64_t exact) {
  return std::abs(static_cast<double>(estimate - exact)) / static_cast<double>(exact);
}

TEST_CASE("an empty histogram answers zero") {
  Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.min() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.percentile(0.5) == 0);
}

TEST_CASE("values below 256 are kept exactly") {
  for (std::int64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.record(value);
    histogram.for_each([&](const Histogram::Bucket& bucket) {
      CHECK(bucket.low == value);
      CHECK(bucket.width == 1);
    });
    CHECK(histogram.percentile(0.5) == value);
  }
}

TEST_CASE("a bucket holds its value and is less than 0.8 % of it wide") {
  for (int bit = 8; bit < 42; ++bit) {
    for (const std::int64_t offset : {-1, 0, 1, 77}) {
      const std::int64_t value = (std::int64_t{1} << bit) + offset;
      Histogram histogram;
      histogram.record(value);
      int visited = 0;
      histogram.for_each([&](const Histogram::Bucket& bucket) {
        ++visited;
        CHECK(bucket.low <= value);
        CHECK(value < bucket.low + bucket.width);
        CHECK(static_cast<double>(bucket.width) < 0.008 * static_cast<double>(bucket.low));
        CHECK(bucket.count == 1);
      });
      CHECK(visited == 1);
    }
  }
}

TEST_CASE("buckets follow each other without gap or overlap") {
  Histogram histogram;
  for (std::int64_t value = 0; value < 100'000; ++value) {
    histogram.record(value);
  }
  std::int64_t next = 0;
  histogram.for_each([&](const Histogram::Bucket& bucket) {
    CHECK(bucket.low == next);
    next = bucket.low + bucket.width;
  });
}

TEST_CASE("percentiles agree with the sorted values to less than 0.8 %") {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(10.0, 1.5);
  std::vector<std::int64_t> values(50'000);
  Histogram histogram;
  for (std::int64_t& value : values) {
    value = static_cast<std::int64_t>(latency(random)) + 1;
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const double rank = std::ceil(fraction * static_cast<double>(values.size()));
    const std::int64_t exact = values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
    CHECK(relative_error(histogram.percentile(fraction), exact) < 0.008);
  }
  CHECK(histogram.min() == values.front());
  CHECK(histogram.max() == values.back());
}

TEST_CASE("values beyond the largest bucket are counted there and leave max exact") {
  Histogram histogram;
  histogram.record(Histogram::kLargest * 2);
  CHECK(histogram.count() == 1);
  CHECK(histogram.max() == Histogram::kLargest * 2);
  CHECK(histogram.percentile(1.0) > 0);
}

}  // namespace
}  // namespace coaio::bench
