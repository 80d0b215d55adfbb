#include "coro/run.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/context.h"

namespace coaio {

std::unique_ptr<Context> make_context_or_exit() {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create();
  if (!context.ok()) {
    std::fprintf(stderr, "coaio: %s\n", std::string(context.status().message()).c_str());
    std::exit(1);
  }
  return *std::move(context);
}

}  // namespace coaio
