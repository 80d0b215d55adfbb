// What the echo of one small message costs in the steady state.

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "backends/unique_fd.h"
#include "coro/io/io_result.h"
#include "coro/io/tcp_stream.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "tests/costs/measure.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kTimes = 50;

Task<void> echo(TcpStream stream) {
  std::array<char, 4096> buffer;
  for (IoResult last; last.ok();) {
    last = co_await stream.read_some(buffer);
    if (last.count() == 0) {
      co_return;
    }
    last = co_await stream.write_all({buffer.data(), last.count()});
  }
}

void call(Context& context, const UniqueFd& peer) {
  write_all(peer, "message");
  std::array<char, 100> buffer;
  while (read(peer.get(), buffer.data(), buffer.size()) <= 0) {
    context.poll(true);
  }
}

void serve(Context& context, Meter& meter) {
  Pair pair = make_tcp_pair();
  TaskGroup group({context, {}});
  group.spawn(echo(TcpStream(context, std::move(pair.a))));
  for (int i = 0; i < kTimes; ++i) {
    call(context, pair.b);
  }
  meter.begin();
  for (int i = 0; i < kTimes; ++i) {
    call(context, pair.b);
  }
  meter.end();
  pair.b.reset();
  while (group.size() != 0) {
    context.poll(true);
  }
}

TEST_CASE("an echo costs one wait, one receive and one send, and no allocation") {
  if (!can_measure()) {
    return;
  }
  measure_on_every_back_end({}, serve, [](Backend backend, const Cost& cost) {
    CHECK(cost == Cost{.waits = cost.waits, .receives = kTimes, .sends = kTimes});
    if (backend == Backend::kIoUring) {
      CHECK(cost.waits <= kTimes);
    } else {
      CHECK(cost.waits == kTimes);
    }
  });
}

TEST_CASE("an echo that polling finds costs io_uring at most one call besides receive and send") {
  if (!can_measure()) {
    return;
  }
  measure_on_every_back_end(
      {.polling = PollFixed{10s}, .polling_gives_way = false}, serve,
      [](Backend backend, const Cost& cost) {
        CHECK(cost == Cost{.waits = cost.waits, .receives = kTimes, .sends = kTimes});
        if (backend == Backend::kIoUring) {
          CHECK(cost.waits <= kTimes);
        }
      });
}

}  // namespace
}  // namespace coaio::testing
