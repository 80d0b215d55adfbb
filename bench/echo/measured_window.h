// What happens between the end of the warm-up and the end of the measurement: latencies, and the
// CPU time that the server spends.
//
//   MeasuredWindow window(warm_up, duration, server_pid);
//   do { ... } while (window.add(finished_ns, latency_ns));
//   window.print_json();
//
// Both ends lie on completed requests, so requests, seconds and CPU time describe exactly the same
// stretch.

#ifndef COAIO_BENCH_ECHO_MEASURED_WINDOW_H_
#define COAIO_BENCH_ECHO_MEASURED_WINDOW_H_

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <optional>

#include "bench/echo/histogram.h"
#include "bench/echo/process_clock.h"
#include "bench/echo/steady_clock.h"

namespace coaio::bench {

class MeasuredWindow {
 public:
  // Without a server_pid (0) the server's CPU time is not taken.
  MeasuredWindow(double warm_up_seconds, double duration_seconds, pid_t server_pid)
      : begin_ns_(steady_now_ns() + static_cast<std::int64_t>(warm_up_seconds * 1e9)),
        duration_ns_(static_cast<std::int64_t>(duration_seconds * 1e9)) {
    if (server_pid != 0) {
      server_clock_.emplace(server_pid);
    }
  }

  // False once the window is over.
  bool add(std::int64_t finished_ns, std::int64_t latency_ns) {
    if (finished_ns < begin_ns_) {
      return true;
    }
    if (!open_) {
      open_ = true;
      begin_ns_ = finished_ns;
      if (server_clock_) {
        server_cpu_ns_ = -server_clock_->now_ns();
      }
      return true;
    }
    latencies_.record(latency_ns);
    end_ns_ = finished_ns;
    if (end_ns_ - begin_ns_ < duration_ns_) {
      return true;
    }
    if (server_clock_) {
      server_cpu_ns_ += server_clock_->now_ns();
    }
    return false;
  }

  // One object, one line. The histogram is the pairs [middle of the bucket in ns, count] of the
  // buckets that are not empty.
  void print_json() const {
    std::printf("{\"requests\": %llu, \"seconds\": %.9f, ",
                static_cast<unsigned long long>(latencies_.count()), (end_ns_ - begin_ns_) * 1e-9);
    if (server_clock_) {
      std::printf("\"server_cpu_seconds\": %.9f, ", server_cpu_ns_ * 1e-9);
    }
    print_nanoseconds("min_ns", latencies_.min());
    print_nanoseconds("p50_ns", latencies_.percentile(0.5));
    print_nanoseconds("p90_ns", latencies_.percentile(0.9));
    print_nanoseconds("p99_ns", latencies_.percentile(0.99));
    print_nanoseconds("p999_ns", latencies_.percentile(0.999));
    print_nanoseconds("max_ns", latencies_.max());
    std::printf("\"histogram\": [");
    const char* separator = "";
    latencies_.for_each([&](const Histogram::Bucket& bucket) {
      std::printf("%s[%lld, %llu]", separator,
                  static_cast<long long>(bucket.low + bucket.width / 2),
                  static_cast<unsigned long long>(bucket.count));
      separator = ", ";
    });
    std::printf("]}\n");
  }

 private:
  static void print_nanoseconds(const char* name, std::int64_t value) {
    std::printf("\"%s\": %lld, ", name, static_cast<long long>(value));
  }

  std::int64_t begin_ns_;
  std::int64_t duration_ns_;
  std::int64_t end_ns_ = 0;
  bool open_ = false;
  std::optional<ProcessClock> server_clock_;
  std::int64_t server_cpu_ns_ = 0;
  Histogram latencies_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_MEASURED_WINDOW_H_
