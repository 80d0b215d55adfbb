#include "tests/costs/measure.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {
namespace {

constexpr unsigned kPatienceSeconds = 30;

class CallMeter : public Meter {
 public:
  explicit CallMeter(CallCounter& counter) : counter_(counter) {}
  void begin() override { counter_.begin(); }
  void end() override { counter_.end(); }

 private:
  CallCounter& counter_;
};

class AllocationMeter : public Meter {
 public:
  void begin() override { begin_ = allocations_so_far(); }
  void end() override { count += allocations_so_far() - begin_; }

  std::size_t count = 0;

 private:
  std::size_t begin_ = 0;
};

Cost cost_of(const std::map<long, int>& calls) {
  Cost cost;
  for (const auto& [number, count] : calls) {
    switch (number) {
      case SYS_ppoll:
      case SYS_epoll_wait:
      case SYS_epoll_pwait:
      case SYS_epoll_pwait2:
      case SYS_io_uring_enter:
        cost.waits += count;
        break;
      case SYS_epoll_ctl:
        cost.changes += count;
        break;
      case SYS_recvfrom:
        cost.receives += count;
        break;
      case SYS_sendto:
        cost.sends += count;
        break;
      case SYS_read:  // of the work
      case SYS_write:
      case SYS_clock_gettime:  // a system call only on machines without a clock in user space
        break;
      default:
        cost.others += count;
    }
  }
  return cost;
}

}  // namespace

doctest::String toString(const Cost& cost) {
  return (std::to_string(cost.waits) + " waits, " + std::to_string(cost.changes) + " changes, " +
          std::to_string(cost.receives) + " receives, " + std::to_string(cost.sends) + " sends, " +
          std::to_string(cost.others) + " others, " + std::to_string(cost.allocations) +
          " allocations")
      .c_str();
}

bool can_measure() {
  const char* reason = kSanitized         ? "a sanitizer makes calls and allocations of its own"
                       : !tracing_works() ? "a sandbox or a debugger forbids ptrace"
                                          : nullptr;
  if (reason != nullptr) {
    report_skipped(reason);
  }
  return reason == nullptr;
}

Cost measure(const ContextOptions& options, const Work& work) {
  Cost cost = cost_of(count_system_calls([&](CallCounter& counter) {
    alarm(kPatienceSeconds);
    CallMeter meter(counter);
    work(*make_context(options), meter);
  }));
  const TestTimeout patience;
  AllocationMeter meter;
  work(*make_context(options), meter);
  cost.allocations = meter.count;
  return cost;
}

void measure_on_every_back_end(
    ContextOptions options, const Work& work,
    const std::function<void(Backend backend, const Cost& cost)>& check) {
  for (const Backend backend : available_back_ends()) {
    options.backend = backend;
    const Cost cost = measure(options, work);
    CAPTURE(static_cast<int>(backend));
    CAPTURE(cost);
    check(backend, cost);
  }
}

}  // namespace coaio::testing
