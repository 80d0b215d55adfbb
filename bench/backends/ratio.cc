#include "bench/backends/ratio.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <random>
#include <utility>
#include <vector>

namespace coaio::bench {
namespace {

constexpr int kPairs = 21;
constexpr int kResamples = 2000;

}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Estimate median_of_pairs(const std::vector<double>& ratios) {
  std::mt19937 random(1);  // the same figures give the same interval
  std::uniform_int_distribution<std::size_t> any(0, ratios.size() - 1);
  std::vector<double> medians;
  for (int i = 0; i < kResamples; ++i) {
    std::vector<double> resample(ratios.size());
    std::generate(resample.begin(), resample.end(), [&] { return ratios[any(random)]; });
    medians.push_back(median(std::move(resample)));
  }
  std::sort(medians.begin(), medians.end());
  return {median(ratios), medians[kResamples / 40], medians[kResamples - kResamples / 40]};
}

Ratio compare(const std::function<double()>& subject, const std::function<double()>& floor) {
  std::vector<double> subjects;
  std::vector<double> floors;
  std::vector<double> ratios;
  for (int i = 0; i < kPairs; ++i) {
    // The first of the two alternates, because the second one finds warmer caches.
    double values[2];
    values[i % 2] = i % 2 == 0 ? subject() : floor();
    values[1 - i % 2] = i % 2 == 0 ? floor() : subject();
    subjects.push_back(values[0]);
    floors.push_back(values[1]);
    ratios.push_back(values[0] / values[1]);
  }
  return {median_of_pairs(ratios), median(std::move(subjects)), median(std::move(floors))};
}

}  // namespace coaio::bench
