// Options at and beyond the ends of their ranges.

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "doctest/doctest.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/time/timer.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

void check_refused(const ContextOptions& options, const std::string& value) {
  const auto context = Context::create(options);
  CHECK(context.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(context.status().message()).find(value) != std::string::npos);
}

TEST_CASE("negative durations and shares outside 0 to 1 are refused, and the value is named") {
  check_refused({.polling = PollFixed{.max = -1ns}}, "PollFixed::max is -1 ns");
  check_refused({.polling = PollGrowShrink{.max = -2us}}, "PollGrowShrink::max is -2000 ns");
  check_refused({.polling = PollLearned{.wake_cost = -3ns}}, "PollLearned::wake_cost is -3 ns");
  check_refused({.polling_share = -0.5}, "share is -0.5");
  check_refused({.polling_share = 1.5}, "share is 1.5");
  check_refused({.polling_share = std::numeric_limits<double>::quiet_NaN()}, "share is nan");
  check_refused({.idle_source_limit = -7s}, "idle_source_limit is -7000000000 ns");
  check_refused({.timer_slack = -1ns}, "timer_slack is -1 ns");
  check_refused({.time_between_looks = -50us}, "time_between_looks is -50000 ns");
  check_refused({.nodes_between_looks = 0}, "nodes_between_looks is 0");
}

TEST_CASE("a policy or share that is out of range is refused at run time, by a sentence") {
  CHECK(abort_message([] {
          make_context()->set_polling(PollFixed{.max = -1ns});
        }).find("PollFixed::max is -1 ns") != std::string::npos);
  CHECK(abort_message([] { make_context()->set_polling_share(2.0); }).find("share is 2") !=
        std::string::npos);
}

// Under the sanitizer of undefined behaviour, which sees a signed overflow.
TEST_CASE("extreme options overflow nothing") {
  const auto use = [](const ContextOptions& options) {
    const auto context = make_context(options);
    for (int i = 0; i < 20; ++i) {
      bool done = false;
      Timer timer(*context, [&] { done = true; });
      BottomHalf half(*context, [&] { timer.arm_after(std::chrono::microseconds(i)); });
      half.schedule();
      context->run_until(done);
    }
  };
  const auto longest = nanoseconds::max();
  use({.time_between_looks = longest});
  use({.nodes_between_looks = std::numeric_limits<unsigned>::max(), .time_between_looks = 0ns});
  use({.idle_source_limit = longest});
  use({.polling = PollFixed{.max = longest}});
  use({.polling = PollGrowShrink{.max = longest}});
  use({.polling = PollGrowShrink{
           .max = longest, .grow = std::numeric_limits<unsigned>::max(), .shrink = 1}});
  use({.polling = PollLearned{.latency_weight = std::numeric_limits<std::uint32_t>::max()}});
  use({.polling = PollLearned{.latency_weight = 0}});
  use({.polling = PollLearned{.latency_weight = std::numeric_limits<std::uint32_t>::max(),
                              .wake_cost = longest,
                              .late = true}});
}

}  // namespace
}  // namespace coaio::testing
