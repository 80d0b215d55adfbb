// Tasks side by side: three tickers at their own pace, ended together after a second.

#include <chrono>
#include <cstdio>
#include <string>

#include "absl/status/status.h"
#include "coaio.h"

using namespace std::chrono_literals;

// Counts periods from one deadline to the next, so that lateness does not add up.
coaio::Task<void> tick(std::string name, std::chrono::milliseconds period) {
  coaio::TimePoint next = std::chrono::steady_clock::now();
  for (int count = 1;; ++count) {
    next += period;
    if (absl::Status status = co_await coaio::sleep_until(next); !status.ok()) {
      co_return;  // cancelled
    }
    const auto late = std::chrono::steady_clock::now() - next;
    std::printf("%-6s tick %2d, %4lld us late\n", name.c_str(), count,
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::microseconds>(late).count()));
  }
}

coaio::Task<absl::Status> run_tickers() {
  coaio::TaskGroup tickers(co_await coaio::this_task());
  tickers.spawn(tick("fast", 100ms));
  tickers.spawn(tick("medium", 250ms));
  tickers.spawn(tick("slow", 400ms));
  tickers.cancel_after(1s);
  co_return co_await tickers.join();
}

int main() {
  const absl::Status status = coaio::run(run_tickers());
  std::fprintf(stderr, "%s", status.ok() ? "" : (status.ToString() + "\n").c_str());
  return status.ok() ? 0 : 1;
}
