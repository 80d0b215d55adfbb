#include "tests/support/contexts.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/backend.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/context_thread.h"
#include "tests/support/skipped.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {

namespace {

coaio::ContextThread start_thread(ContextOptions options) {
  options.polling_gives_way = false;
  absl::StatusOr<coaio::ContextThread> thread = coaio::ContextThread::start(options);
  REQUIRE_MESSAGE(thread.ok(), thread.status().ToString());
  return *std::move(thread);
}

}  // namespace

std::vector<Backend> available_back_ends(bool report) {
  std::vector<Backend> available;
  for (const Backend backend : {Backend::kPpoll, Backend::kEpoll, Backend::kIoUring}) {
    const absl::StatusOr<SelectedMonitor> selected = select_monitor(backend);
    if (selected.ok()) {
      available.push_back(backend);
    } else if (report) {
      report_skipped(std::string(selected.status().message()));
    }
  }
  return available;
}

std::unique_ptr<Context> make_context(ContextOptions options) {
  options.polling_gives_way = false;
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options);
  REQUIRE_MESSAGE(context.ok(), context.status().ToString());
  return *std::move(context);
}

void on_every_context(const std::function<void(Context&)>& clause, ContextOptions options) {
  for (const Backend backend : available_back_ends()) {
    const TestTimeout patience;
    options.backend = backend;
    const std::unique_ptr<Context> context = make_context(options);
    context->bind();
    const std::string name(context->backend());
    INFO("back end: ", name);
    clause(*context);
  }
}

ContextThread::ContextThread(ContextOptions options)
    : coaio::ContextThread(start_thread(std::move(options))) {}

}  // namespace coaio::testing
