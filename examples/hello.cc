// The smallest program: a task that waits, and a result.

#include <chrono>
#include <cstdio>

#include "absl/status/status.h"
#include "coaio.h"

using namespace std::chrono_literals;

coaio::Task<absl::Status> hello() {
  std::puts("hello");
  if (absl::Status status = co_await coaio::sleep_for(100ms); !status.ok()) {
    co_return status;
  }
  std::puts("world");
  co_return absl::OkStatus();
}

int main() {
  const absl::Status status = coaio::run(hello());
  std::fprintf(stderr, "%s", status.ok() ? "" : (status.ToString() + "\n").c_str());
  return status.ok() ? 0 : 1;
}
