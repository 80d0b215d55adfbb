// awaiter_of: the object on which co_await calls await_ready() and the like. Private to coro.
//
// The result of operator co_await, which need not be movable, or the awaitable itself.

#ifndef COAIO_CORO_AWAITER_OF_H_
#define COAIO_CORO_AWAITER_OF_H_

#include <type_traits>
#include <utility>

namespace coaio::internal {

template <typename Awaitable>
decltype(auto) awaiter_of(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else {
    return static_cast<std::remove_reference_t<Awaitable>&>(awaitable);
  }
}

template <typename Awaitable>
using AwaiterOf = decltype(awaiter_of(std::declval<Awaitable>()));

}  // namespace coaio::internal

#endif  // COAIO_CORO_AWAITER_OF_H_
