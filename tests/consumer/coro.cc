// A program of another workspace that depends on //coro alone: a task awaits another one.

#include "absl/status/status.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/yield.h"

coaio::Task<int> answer() {
  co_await coaio::yield();
  co_return 42;
}

coaio::Task<absl::Status> ask() {
  const int number = co_await answer();
  co_return number == 42 ? absl::OkStatus() : absl::UnknownError("another answer");
}

int main() { return coaio::run(ask()).ok() ? 0 : 1; }
