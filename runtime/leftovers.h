// Leftovers: what still uses a context when the context is destroyed, in words. A part of Context.

#ifndef COAIO_RUNTIME_LEFTOVERS_H_
#define COAIO_RUNTIME_LEFTOVERS_H_

#include <array>
#include <cstddef>
#include <string>

#include "runtime/call_kind.h"

namespace coaio::internal {

class Leftovers {
 public:
  void add(const CallInfo& call);
  void add(CallKind kind, std::size_t count) { counts_[static_cast<std::size_t>(kind)] += count; }
  void add_away_tasks(std::size_t count) { away_tasks_ = count; }

  // " the timer "tick"; 2 tasks that sleep;", or nothing.
  std::string words() const;

 private:
  std::string named_;
  std::array<std::size_t, kCallKinds> counts_{};  // of those without a name
  std::size_t away_tasks_ = 0;
};

}  // namespace coaio::internal

#endif  // COAIO_RUNTIME_LEFTOVERS_H_
