// Result: the value or the exception with which a task ended. Private to coro.

#ifndef COAIO_CORO_RESULT_H_
#define COAIO_CORO_RESULT_H_

#include <exception>
#include <utility>
#include <variant>

#include "backends/check.h"

namespace coaio::internal {

template <typename T>
class Result {
 public:
  template <typename U>
  void set_value(U&& value) {
    content_.template emplace<1>(std::forward<U>(value));
  }
  void set_exception(std::exception_ptr exception) {
    content_.template emplace<2>(std::move(exception));
  }

  // Null if there is a value.
  std::exception_ptr exception() const {
    return content_.index() == 2 ? std::get<2>(content_) : nullptr;
  }

  // Moves the value out, or throws the exception. A coroutine that flows off its end has neither:
  // this is undefined behavior, for which clang and g++ warn and go to the final suspension.
  T take() {
    check(content_.index() != 0,
          "a Task<T> ended without co_return: let every path through the coroutine co_return a "
          "value");
    if (content_.index() == 2) {
      std::rethrow_exception(std::get<2>(std::move(content_)));
    }
    return std::get<1>(std::move(content_));
  }

 private:
  std::variant<std::monostate, T, std::exception_ptr> content_;
};

template <>
class Result<void> {
 public:
  void set_exception(std::exception_ptr exception) { exception_ = std::move(exception); }
  std::exception_ptr exception() const { return exception_; }

  void take() {
    if (exception_ != nullptr) {
      std::rethrow_exception(std::move(exception_));
    }
  }

 private:
  std::exception_ptr exception_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_RESULT_H_
