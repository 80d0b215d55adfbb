#include "bench/shm_rpc/round_trips.h"

#include <doctest/doctest.h>

#include <chrono>
#include <variant>

#include "backends/backend.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"

namespace coaio::bench {
namespace {

TEST_CASE("the contexts of a measurement go on polling on a crowded machine") {
  const ContextOptions options = never_sleeping(Backend::kEpoll);
  CHECK_FALSE(options.polling_gives_way);
  CHECK(options.polling_share == 1.0);
  CHECK(std::get<PollFixed>(options.polling).max >= std::chrono::seconds(20));
}

}  // namespace
}  // namespace coaio::bench
