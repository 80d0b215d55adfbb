#include "runtime/polling/poll_budget.h"

#include <chrono>
#include <optional>
#include <variant>

#include "runtime/polling/grow_shrink_state.h"
#include "runtime/polling/late_polling.h"
#include "runtime/polling/learned_state.h"
#include "runtime/polling/poll_policy.h"
#include "runtime/polling/wait_outcome.h"

namespace coaio::internal {
namespace {

using std::chrono::nanoseconds;

using State = std::variant<PollOff, PollFixed, GrowShrinkState, LearnedState>;

State state_of(const PollPolicy& policy) {
  if (const auto* fixed = std::get_if<PollFixed>(&policy)) {
    return *fixed;
  }
  if (const auto* rule = std::get_if<PollGrowShrink>(&policy)) {
    return GrowShrinkState(*rule);
  }
  if (const auto* learned = std::get_if<PollLearned>(&policy)) {
    return LearnedState(*learned);
  }
  return PollOff{};
}

}  // namespace

PollBudget::PollBudget(const PollPolicy& policy) : state_(state_of(policy)) {}

nanoseconds PollBudget::budget() const {
  switch (state_.index()) {
    case 1:
      return std::get<PollFixed>(state_).max;
    case 2:
      return std::get<GrowShrinkState>(state_).budget();
    case 3:
      return std::get<LearnedState>(state_).budget();
    default:
      return nanoseconds(0);
  }
}

nanoseconds PollBudget::timer_tail(nanoseconds rest) const {
  const auto* learned = std::get_if<LearnedState>(&state_);
  return learned == nullptr ? nanoseconds(0) : learned->timer_tail(rest);
}

std::optional<LatePolling::Window> PollBudget::late_window() const {
  const auto* learned = std::get_if<LearnedState>(&state_);
  return learned == nullptr ? std::nullopt : learned->late_window();
}

void PollBudget::set_longest(nanoseconds longest) {
  if (auto* learned = std::get_if<LearnedState>(&state_)) {
    learned->set_longest(longest);
  }
}

void PollBudget::waited(const WaitOutcome& wait) {
  if (auto* grow_shrink = std::get_if<GrowShrinkState>(&state_)) {
    grow_shrink->waited(wait.polled + wait.blocked);
  } else if (auto* learned = std::get_if<LearnedState>(&state_)) {
    learned->waited(wait);
  }
}

void PollBudget::woke_late(nanoseconds sleep, nanoseconds late) {
  if (auto* learned = std::get_if<LearnedState>(&state_)) {
    learned->woke_late(sleep, late);
  }
}

}  // namespace coaio::internal
