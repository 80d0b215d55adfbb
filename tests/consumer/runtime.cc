// A program of another workspace that depends on //runtime alone: a loop turns, and calls what was
// scheduled.

#include <memory>

#include "absl/status/statusor.h"
#include "runtime/bottom_half.h"
#include "runtime/context.h"

int main() {
  const absl::StatusOr<std::unique_ptr<coaio::Context>> context = coaio::Context::create();
  if (!context.ok()) {
    return 1;
  }
  int calls = 0;
  coaio::BottomHalf bottom_half(**context, [&] { ++calls; });
  bottom_half.schedule();
  return (*context)->poll(true) && calls == 1 ? 0 : 1;
}
