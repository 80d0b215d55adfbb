#include "runtime/polling/grow_shrink_state.h"

#include <algorithm>
#include <chrono>

namespace coaio::internal {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kFirstBudget = std::chrono::microseconds(4);

}  // namespace

void GrowShrinkState::waited(nanoseconds duration) {
  if (duration <= budget_) {
    return;
  }
  if (duration > rule_.max) {
    budget_ = rule_.shrink == 0 ? nanoseconds(0) : budget_ / rule_.shrink;
  } else if (duration < rule_.max && budget_ < rule_.max) {
    grow();
  }
}

void GrowShrinkState::grow() {
  if (budget_ == nanoseconds(0)) {
    budget_ = std::min(kFirstBudget, rule_.max);
    return;
  }
  const auto factor = static_cast<nanoseconds::rep>(rule_.grow == 0 ? 2 : rule_.grow);
  budget_ = budget_ > rule_.max / factor ? rule_.max : budget_ * factor;
}

}  // namespace coaio::internal
