#include "runtime/polling/poll_policy.h"

#include <chrono>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "doctest/doctest.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a policy is read from text, and what is no policy is refused by name") {
  CHECK(std::holds_alternative<PollOff>(*parse_poll_policy("off")));
  CHECK(std::get<PollFixed>(*parse_poll_policy("fixed:50")).max == 50us);
  CHECK(std::holds_alternative<PollLearned>(*parse_poll_policy("learned")));
  CHECK(std::get<PollLearned>(*parse_poll_policy("learned:10")).latency_weight == 10);
  CHECK(std::get<PollGrowShrink>(*parse_poll_policy("grow_shrink:128")).max == 128us);
  CHECK(!std::get<PollLearned>(*parse_poll_policy("learned")).late);
  CHECK(std::get<PollLearned>(*parse_poll_policy("learned_late")).late);
  CHECK(std::get<PollLearned>(*parse_poll_policy("learned_late:1")).latency_weight == 1);
  for (const char* text :
       {"", "fixed", "fixed:", "fixed:0", "fixed:-1", "grow_shrink:many", "learned:0", "on"}) {
    CAPTURE(text);
    const absl::StatusOr<PollPolicy> policy = parse_poll_policy(text);
    CHECK(absl::IsInvalidArgument(policy.status()));
    CHECK(policy.status().message().find(std::string("\"") + text + "\"") != std::string::npos);
  }
}

}  // namespace
}  // namespace coaio::testing
