#include "coro/cancel.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/abort_message.h"
#include "tests/support/allocations.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

struct Listed : CancelNode {
  explicit Listed(std::string& l, char n) : CancelNode(&Listed::heard), log(l), name(n) {}
  static void heard(CancelNode& node) {
    auto& self = static_cast<Listed&>(node);
    self.log += self.name;
    if (self.ends != nullptr) {
      self.ends->unlink();
    }
  }
  std::string& log;
  char name;
  CancelNode* ends = nullptr;
};

TEST_CASE("a token without a source is never cancelled") {
  CHECK(!CancelToken().cancel_requested());
  CHECK(CancelToken().source() == nullptr);
}

TEST_CASE("a request is seen at once, and delivered by the loop, in the order of listing, once") {
  on_every_context([](Context& context) {
    context.bind();
    std::string log;
    CancelSource source(context);
    Listed a(log, 'a');
    Listed b(log, 'b');
    source.add(a);
    source.add(b);
    source.request_cancel();
    source.request_cancel();
    CHECK(source.token().cancel_requested());
    CHECK(log.empty());  // nothing runs inside the requester's call
    context.poll(false);
    CHECK(log == "ab");
    source.request_cancel();
    CHECK(!context.poll(false));
  });
}

TEST_CASE("what has completed is not cancelled, not even by the delivery that it completes in") {
  const auto context = make_context();
  context->bind();
  std::string log;
  CancelSource source(*context);
  Listed a(log, 'a');
  Listed b(log, 'b');
  Listed c(log, 'c');
  source.add(a);
  source.add(b);
  source.add(c);
  a.ends = &c;
  b.unlink();
  source.request_cancel();
  context->poll(false);
  CHECK(log == "a");
}

TEST_CASE("a source that ends before its delivery takes it back") {
  const auto context = make_context();
  context->bind();
  {
    CancelSource source(*context);
    source.request_cancel();
  }
  CHECK(!context->poll(false));
}

TEST_CASE("a source that ends with something listed in it says so") {
  const std::string words = abort_message([] {
    const auto context = make_context();
    std::string log;
    Listed a(log, 'a');
    CancelSource source(*context);
    source.add(a);
  });
  CAPTURE(words);
  CHECK(
      words.find("a cancel source is destroyed before the operations and groups that it cancels") !=
      std::string::npos);
}

TEST_CASE("the status of what was cancelled has no message, and needs no memory") {
  const std::size_t before = allocations_so_far();
  const absl::Status status = cancelled();
  const std::size_t made = allocations_so_far() - before;
  CHECK(made == 0);
  CHECK(absl::IsCancelled(status));
  CHECK(status.message().empty());
}

// --- in tasks -----------------------------------------------------------------------------------

Task<absl::Status> sleep_in_a_child(int levels) {
  if (levels == 0) {
    co_return co_await sleep_for(24h);
  }
  co_return co_await sleep_in_a_child(levels - 1);
}

TEST_CASE("a request reaches the operation at the end of a chain of tasks") {
  on_every_context([](Context& context) {
    CancelSource source(context);
    const auto wait = [](CancelSource& from) -> Task<absl::Status> {
      TaskGroup group({from.context(), from.token()});
      group.spawn(sleep_in_a_child(5));
      group.spawn([](CancelSource& requested) -> Task<void> {
        co_await yield();
        requested.request_cancel();
      }(from));
      co_return co_await group.join();
    };
    CHECK(absl::IsCancelled(run(context, wait(source))));
  });
}

TEST_CASE("a request from another thread reaches tasks that sleep, however it falls") {
  on_every_context([](Context& context) {
    for (int round = 0; round < 50; ++round) {
      CancelSource source(context);
      std::thread requester([&] { source.request_cancel(); });
      const auto status = run(context, [](CancelSource& from) -> Task<absl::Status> {
        TaskGroup group({from.context(), from.token()});
        for (int i = 0; i < 3; ++i) {
          group.spawn(sleep_in_a_child(i));
        }
        co_return co_await group.join();
      }(source));
      requester.join();
      CHECK(absl::IsCancelled(status));
    }
  });
}

}  // namespace
}  // namespace coaio::testing
