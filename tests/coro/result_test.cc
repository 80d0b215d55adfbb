#include "coro/result.h"

#include <exception>
#include <memory>
#include <stdexcept>

#include "doctest/doctest.h"

namespace coaio::testing {

using namespace internal;
namespace {

TEST_CASE("a value is moved out") {
  Result<std::unique_ptr<int>> result;
  result.set_value(std::make_unique<int>(1));
  CHECK(result.exception() == nullptr);
  CHECK(*result.take() == 1);
}

TEST_CASE("an exception may be the value") {
  Result<std::exception_ptr> result;
  result.set_value(std::exception_ptr());
  CHECK(result.exception() == nullptr);
  CHECK(result.take() == nullptr);
}

#if defined(__cpp_exceptions)

TEST_CASE("an exception is thrown where the value was expected") {
  const auto exception = std::make_exception_ptr(std::runtime_error("no"));
  Result<int> number;
  number.set_exception(exception);
  CHECK(number.exception() == exception);
  CHECK_THROWS_AS(number.take(), std::runtime_error);
  Result<void> nothing;
  nothing.set_exception(exception);
  CHECK_THROWS_AS(nothing.take(), std::runtime_error);
}

#endif

}  // namespace
}  // namespace coaio::testing
