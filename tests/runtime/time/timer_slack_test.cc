// The timer slack of a thread that runs contexts.

#include <sys/prctl.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

int slack() { return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0); }

std::unique_ptr<Context> bound_context(const ContextOptions& options = {}) {
  std::unique_ptr<Context> context = make_context(options);
  context->bind();
  return context;
}

TEST_CASE("a thread has its timer slack back when its last context has ended") {
  const int before = slack();
  REQUIRE(before != 1);
  auto first = bound_context();
  CHECK(slack() == 1);
  auto second = bound_context({.timer_slack = 1000ns});
  CHECK(slack() == 1000);
  first.reset();
  CHECK(slack() == 1000);
  second.reset();
  CHECK(slack() == before);
  bound_context().reset();
  CHECK(slack() == before);
}

TEST_CASE("a context that was not bound, or has no slack to set, leaves that of the thread alone") {
  const int before = slack();
  const auto unbound = make_context();
  const auto without = bound_context({.timer_slack = {}});
  CHECK(slack() == before);
}

TEST_CASE("a program that the home thread forks has the former timer slack") {
  const int before = slack();
  const auto context = bound_context();
  CHECK(run_in_child([&] { return std::to_string(slack()); }) == std::to_string(before));
  CHECK(slack() == 1);
}

TEST_CASE("a context that ends after its home thread leaves the slack of its last thread alone") {
  const int before = slack();
  auto context = make_context();
  std::thread([&] { context->bind(); }).join();
  context.reset();
  CHECK(slack() == before);
}

}  // namespace
}  // namespace coaio::testing
