// Ratio: how much longer one thing takes than another, and how sure that is.

#ifndef COAIO_BENCH_BACKENDS_RATIO_H_
#define COAIO_BENCH_BACKENDS_RATIO_H_

#include <functional>
#include <vector>

namespace coaio::bench {

double median(std::vector<double> values);

// A median and its bootstrap interval, 95 %.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

Estimate median_of_pairs(const std::vector<double>& ratios);

// The median of the ratios of neighbouring measurements, with its interval.
struct Ratio : Estimate {
  double subject = 0;  // medians, in whatever the measures give
  double floor = 0;
};

// Takes turns between the two, so that both meet the same moods of the machine.
Ratio compare(const std::function<double()>& subject, const std::function<double()>& floor);

}  // namespace coaio::bench

#endif  // COAIO_BENCH_BACKENDS_RATIO_H_
