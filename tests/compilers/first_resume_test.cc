#include "coro/first_resume.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

Task<absl::Status> succeed() {
  co_await yield();
  co_return absl::OkStatus();
}

// The form that g++ 12 compiles wrongly: it awaits in a condition and declares nothing.
Task<void> no_variable(bool* ended) {
  if (!(co_await succeed()).ok()) {  // NOLINT(coaio-compiler-trap)
    co_return;
  }
  *ended = true;
}

Task<void> one_variable(bool* ended) {
  const absl::Status status = co_await succeed();
  *ended = status.ok();
}

Task<void> call(Task<void> task) { co_await std::move(task); }

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
constexpr bool kNeverBegins = true;
#else
constexpr bool kNeverBegins = false;
#endif

// The program's last words, or nothing if the task ended.
std::string outcome(Task<void> (*start)(bool*)) {
  const auto work = [start] {
    bool ended = false;
    const std::unique_ptr<Context> context = make_context();
    run(*context, start(&ended));
    CHECK(ended);
  };
  if (kNeverBegins) {
    return abort_message(work);
  }
  work();
  return "";
}

void check_outcome(Task<void> (*start)(bool*)) {
  if (kNeverBegins && kSanitized) {
    return report_skipped("the sanitizer stops the program before coaio does");
  }
  const bool names_remedy =
      outcome(start).find("declare a variable in its outermost block") != std::string::npos;
  CHECK(names_remedy == kNeverBegins);
}

TEST_CASE("a task that g++ 12 never lets begin ends the program with the remedy") {
  SUBCASE("as the outermost task") { check_outcome(&no_variable); }
  SUBCASE("as a task that is awaited") {
    check_outcome([](bool* ended) { return call(no_variable(ended)); });
  }
}

TEST_CASE("a task that declares a variable begins with every compiler") {
  bool ended = false;
  const std::unique_ptr<Context> context = make_context();
  run(*context, one_variable(&ended));
  CHECK(ended);
}

TEST_CASE("a task begins that goes through the queue because many have completed in a row") {
  const std::unique_ptr<Context> context = make_context();
  const auto one = []() -> Task<int> { co_return 1; };
  const auto many = [one](int count) -> Task<int> {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
      sum += co_await one();
    }
    co_return sum;
  };
  CHECK(run(*context, many(1'000)) == 1'000);
}

}  // namespace
}  // namespace coaio::testing
