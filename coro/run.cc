#include "coro/run.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/context.h"
#include "runtime/sink.h"

namespace coaio {

std::unique_ptr<Context> make_context_or_exit() {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
  if (!context.ok()) {
    standard_error_sink()(context.status().message());
    std::exit(1);
  }
  return *std::move(context);
}

}  // namespace coaio
