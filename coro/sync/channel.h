// Channel<T> and UnboundedChannel<T>: a queue between tasks.
//
//   Channel<Job> jobs(16);                                     // holds 16 elements
//   absl::Status status = co_await jobs.send(std::move(job));  // waits while the channel is full
//   jobs.close();
//
//   for (;;) {
//     absl::StatusOr<Job> job = co_await jobs.receive();       // waits while the channel is empty
//     if (!job.ok()) break;                                    // closed and empty, or cancelled
//     ...
//   }
//
// First in, first out: for the elements, for the tasks that send, and for the tasks that receive. A
// channel of capacity 0 is a rendezvous: send() ends when a task has received the element. After
// close() no element gets in; the elements in the channel can still be received.
//
// No element is lost or received twice. send() moves from its argument only when it succeeds, so
// after a failure the caller still has the element. An element that was handed to a task is the
// result of that task's receive(), even if the task was cancelled afterwards.
//
// UnboundedChannel grows instead of waiting: its send() is an ordinary function. Prefer Channel: a
// slow receiver makes its senders wait, and does not fill the memory.
//
// Threads: try_send(), try_receive(), close(), size() and UnboundedChannel::send() on any thread;
//   tasks of several contexts may send and receive. The task that receives an element sees what the
//   sending thread wrote before. Elements are moved under the mutex of the channel, so their move
//   operations and destructors must not use the channel.
// Lifetime: the channel outlives the calls and the waits; the latter is checked.
// Fork: in a forked child a channel of the parent can only be destroyed.
// Errors: receive() of a channel that is closed and empty gives kOutOfRange; send() into a closed
//   channel gives kFailedPrecondition; a cancelled operation gives kCancelled.
//
// send(), receive(): May complete without suspending? When there is room, or an element; when the
//   channel is closed; when the task was cancelled before.
// Observes cancellation? Yes: kCancelled, unless the element was handed over before.
// Resumes where? On the home context of the task, through the run queue.
// What must outlive what? The channel, the argument of send() and the span of receive() outlive the
//   operation.

#ifndef COAIO_CORO_SYNC_CHANNEL_H_
#define COAIO_CORO_SYNC_CHANNEL_H_

#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/sync/channel_core.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {
namespace internal {

inline absl::Status channel_is_closed() {
  return absl::FailedPreconditionError("send into a channel that is closed");
}
inline absl::Status channel_has_ended() {
  return absl::OutOfRangeError("receive from a channel that is closed and empty");
}

// co_await channel.receive().
template <typename T>
class [[nodiscard("co_await it")]] ReceiveOne
    : public SyncOperation<ReceiveOne<T>, ChannelReceiver<T>> {
 public:
  explicit ReceiveOne(ChannelCore<T>& core)
      : SyncOperation<ReceiveOne, ChannelReceiver<T>>(&value_, std::span<T>(), std::size_t{1}),
        core_(core) {}

  absl::StatusOr<T> await_resume() {
    this->end_granted();
    if (this->take_count() != 0) {
      return *std::exchange(value_, std::nullopt);
    }
    return this->was_cancelled() ? this->cancel_status() : channel_has_ended();
  }

 private:
  friend class SyncOperation<ReceiveOne, ChannelReceiver<T>>;

  bool take_or_wait() { return core_.receive_or_wait(*this); }
  bool leave() { return core_.withdraw(*this); }

  ChannelCore<T>& core_;
  std::optional<T> value_;
};

// co_await channel.receive(span, min).
template <typename T>
class [[nodiscard("co_await it")]] ReceiveMany
    : public SyncOperation<ReceiveMany<T>, ChannelReceiver<T>> {
  static_assert(std::is_nothrow_move_assignable_v<T>,
                "elements of a batch must have a move assignment that does not throw");

 public:
  ReceiveMany(ChannelCore<T>& core, std::span<T> out, std::size_t min)
      : SyncOperation<ReceiveMany, ChannelReceiver<T>>(nullptr, out, min), core_(core) {
    check(min <= out.size(), "a batch of a channel is asked for more elements than its span holds");
    check(min != 0, "a batch of a channel is asked for no element: try_receive() does not wait");
  }

  absl::StatusOr<std::size_t> await_resume() {
    this->end_granted();
    if (const std::size_t count = this->take_count(); count != 0) {
      return count;
    }
    return this->was_cancelled() ? this->cancel_status() : channel_has_ended();
  }

 private:
  friend class SyncOperation<ReceiveMany, ChannelReceiver<T>>;

  bool take_or_wait() { return core_.receive_or_wait(*this); }
  bool leave() { return core_.withdraw(*this); }

  ChannelCore<T>& core_;
};

// co_await channel.send(value).
template <typename T>
class [[nodiscard("co_await it")]] Send : public SyncOperation<Send<T>, ChannelSender<T>> {
 public:
  Send(ChannelCore<T>& core, T& value)
      : SyncOperation<Send, ChannelSender<T>>(value), core_(core) {}

  absl::Status await_resume() {
    this->end_granted();
    if (this->take_accepted()) {
      return absl::OkStatus();
    }
    return this->was_cancelled() ? this->cancel_status() : channel_is_closed();
  }

 private:
  friend class SyncOperation<Send, ChannelSender<T>>;

  bool take_or_wait() { return core_.send_or_wait(*this); }
  bool leave() { return core_.withdraw(*this); }

  ChannelCore<T>& core_;
};

// What both channels have.
template <typename T>
class ReceivingChannel {
 public:
  // absl::StatusOr<T>: the oldest element.
  ReceiveOne<T> receive() { return ReceiveOne<T>(core_); }

  // Gives an absl::StatusOr<std::size_t>: the number of elements that were moved into the span. The
  // wait ends when `min` elements have arrived; `min` is at least 1. If the channel is closed or
  // the task is cancelled earlier, the result is the number of elements that have arrived. If no
  // element has arrived, the result is the error.
  ReceiveMany<T> receive(std::span<T> out, std::size_t min = 1) { return {core_, out, min}; }

  // Nothing if the channel is empty.
  std::optional<T> try_receive() { return core_.try_receive(); }

  // No element gets in any more. Ends the waits of senders and receivers.
  void close() { core_.close(); }
  bool is_closed() const { return core_.is_closed(); }

  // How many elements are in it. A hint: other threads may change it at once.
  std::size_t size() const { return core_.size(); }

 protected:
  explicit ReceivingChannel(std::size_t capacity) : core_(capacity) {}
  ~ReceivingChannel() = default;

  ChannelCore<T> core_;
};

}  // namespace internal

template <typename T>
class Channel : public internal::ReceivingChannel<T> {
 public:
  // Allocates room for `capacity` elements.
  explicit Channel(std::size_t capacity) : internal::ReceivingChannel<T>(capacity) {}

  // absl::Status. Moves from `value` only if it is OK.
  internal::Send<T> send(T&& value) { return {this->core_, value}; }

  // False, and `value` is left alone, if the channel is full or closed.
  bool try_send(T&& value) { return this->core_.try_send(value); }
};

template <typename T>
class UnboundedChannel : public internal::ReceivingChannel<T> {
 public:
  UnboundedChannel() : internal::ReceivingChannel<T>(internal::ChannelCore<T>::kUnbounded) {}

  // False, and `value` is left alone, if the channel is closed. Allocates when the channel grows.
  bool send(T&& value) { return this->core_.try_send(value); }
};

}  // namespace coaio

#endif  // COAIO_CORO_SYNC_CHANNEL_H_
