#include "runtime/leftovers.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/call_kind.h"

namespace coaio::internal {

void Leftovers::add(const CallInfo& call) {
  if (call.name != nullptr) {
    absl::StrAppend(&named_, " ", describe(call), ";");
  } else {
    add(call.kind, 1);
  }
}

std::string Leftovers::words() const {
  std::string words = named_;
  for (std::size_t i = 0; i < kCallKinds; ++i) {
    if (counts_[i] != 0) {
      absl::StrAppend(&words, " ", describe_pending(static_cast<CallKind>(i), counts_[i]), ";");
    }
  }
  if (away_tasks_ != 0) {
    absl::StrAppend(&words, " ", away_tasks_,
                    away_tasks_ == 1 ? " task that is" : " tasks that are",
                    " away on another context (resume_on), and must return first;");
  }
  return words;
}

}  // namespace coaio::internal
