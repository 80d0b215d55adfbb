#include "coro/run.h"

#include <cstdlib>

#include "absl/status/status.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "runtime/context.h"
#include "runtime/sink.h"

namespace coaio::internal {

RunOwner::RunOwner(Context& context, CancelToken token)
    : TaskOwner(context, &RunOwner::ended),
      CancelNode(&RunOwner::pass_on),
      source_(context),
      upstream_(token.source()) {
  check(!Context::has_current(),
        "run() is called inside a turn of this thread: co_await the task, or spawn it into a "
        "TaskGroup");
  check(token.source() == nullptr || &token.source()->context() == &context,
        "run() is given the token of a cancel source of another context: make the source on the "
        "context that runs the task");
  context.bind();
  if (upstream_ != nullptr) {
    source_.inherit(*upstream_);
    if (!source_.cancel_requested()) {
      upstream_->add(*this);
    }
  }
}

PromiseBase& RunOwner::run(PromiseBase& task) {
  task.start(*this, source_.token());
  source_.context().run_until(done_, [this] { source_.request_cancel(); });
  return *ended_;
}

void exit_without_context(const absl::Status& error) {
  standard_error_sink()(error.message());
  std::exit(1);
}

}  // namespace coaio::internal
