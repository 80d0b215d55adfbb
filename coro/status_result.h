// StatusResult: the result types that say whether an operation failed. Private to coro.
//
// absl::Status, absl::StatusOr<T>, and what has a status and a count, such as IoResult.

#ifndef COAIO_CORO_STATUS_RESULT_H_
#define COAIO_CORO_STATUS_RESULT_H_

#include <concepts>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coaio::internal {

template <typename R>
inline constexpr bool kIsStatusOr = false;
template <typename T>
inline constexpr bool kIsStatusOr<absl::StatusOr<T>> = true;

// An IoResult. It stands in coro/io, which depends on coro.
template <typename R>
concept HasCount = requires(const R& result) {
  { result.ok() } -> std::same_as<bool>;
  { result.status() } -> std::convertible_to<absl::Status>;
  result.count();
};

template <typename R>
concept StatusResult = std::same_as<R, absl::Status> || kIsStatusOr<R> || HasCount<R>;

template <StatusResult R>
absl::Status take_status(R&& result) {
  if constexpr (std::same_as<R, absl::Status>) {
    return std::forward<R>(result);
  } else {
    return std::forward<R>(result).status();
  }
}

// The value of a result that is OK.
template <StatusResult R>
auto take_value(R&& result) {
  if constexpr (kIsStatusOr<R>) {
    return *std::forward<R>(result);
  } else if constexpr (HasCount<R>) {
    return result.count();
  }
}

template <StatusResult R>
using ValueOf = decltype(take_value(std::declval<R>()));

}  // namespace coaio::internal

#endif  // COAIO_CORO_STATUS_RESULT_H_
