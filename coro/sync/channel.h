// Channel<T> and UnboundedChannel<T>: a queue between tasks.
//
//   Channel<Job> jobs(16);                                    // holds 16 elements
//   absl::Status status = co_await jobs.send(std::move(job)); // waits while it is full
//   jobs.close();
//
//   for (;;) {
//     absl::StatusOr<Job> job = co_await jobs.receive();      // waits while it is empty
//     if (!job.ok()) break;                                   // closed and empty, or cancelled
//     ...
//   }
//
// First in, first out, for the elements, for the tasks that send and for the tasks that receive. A
// capacity of 0 is a rendezvous: send() ends when a task has received the element. After close() no
// element gets in; those that are in it can still be received.
//
// No element is lost or received twice. send() moves from its argument only when it succeeds, so
// after a failure the caller still has the element. An element that was handed to a task is the
// result of its receive(), even if the task was cancelled afterwards.
//
// UnboundedChannel grows instead of waiting: its send() is an ordinary function. Prefer Channel,
// for a receiver that is too slow shows as waiting senders, and not as memory that runs out.
//
// Threads: try_send(), try_receive(), close(), size() and UnboundedChannel::send() on any thread;
//   tasks of several contexts may send and receive. What a thread wrote before it sent is visible
//   to the task that receives.
// Lifetime: the channel outlives the calls and the waits on it, which is checked for the waits.
// Errors: receive() of a channel that is closed and empty is kOutOfRange; send() into a closed one
// is
//   kFailedPrecondition; what was cancelled is kCancelled.
//
// send(), receive(): May they complete without suspending? When there is room, or an element; when
//   the channel is closed; when the task was cancelled before.
// Do they observe cancellation? Yes, as above.
// Where do they resume? On the home context of the task, through that context's run queue.
// Who must outlive whom? The channel outlives both, the argument of send() and the span of
// receive()
//   too.

#ifndef COAIO_CORO_SYNC_CHANNEL_H_
#define COAIO_CORO_SYNC_CHANNEL_H_

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/promise.h"
#include "coro/sync/ring_buffer.h"
#include "coro/sync/sync_waiter.h"

namespace coaio {
namespace internal {

// A task that waits for room. Its element stays where its caller has it until it is accepted.
template <typename T>
class ChannelSender : public SyncWaiter {
 protected:
  ChannelSender(T& value, CancelNode::Cancel withdraw) : SyncWaiter(withdraw), value_(&value) {}

 private:
  template <typename U>
  friend class ChannelCore;

  T* value_;
  bool accepted_ = false;  // guarded by the mutex of the channel until the task goes on
};

// A task that waits for elements, and those that it has got so far.
template <typename T>
class ChannelReceiver : public SyncWaiter {
 protected:
  // Either one element into `one`, or at least `min` into `many`.
  ChannelReceiver(std::optional<T>* one, std::span<T> many, std::size_t min,
                  CancelNode::Cancel withdraw)
      : SyncWaiter(withdraw), one_(one), many_(many), min_(min) {}

  std::size_t count() const { return count_; }
  bool is_satisfied() const { return count_ >= min_; }

 private:
  template <typename U>
  friend class ChannelCore;

  void accept(T&& value) {
    if (one_ != nullptr) {
      one_->emplace(std::move(value));
    } else {
      many_[count_] = std::move(value);
    }
    ++count_;
  }
  bool has_room() const { return count_ < (one_ != nullptr ? 1 : many_.size()); }

  std::optional<T>* one_;
  std::span<T> many_;
  std::size_t min_;
  std::size_t count_ = 0;  // guarded by the mutex of the channel until the task goes on
};

// What the two channels share. At any time at most one of these is true: receivers wait, which
// means that the buffer is empty and no sender waits; senders wait, which means that the buffer is
// full.
template <typename T>
class ChannelCore {
 public:
  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  using Sender = ChannelSender<T>;
  using Receiver = ChannelReceiver<T>;

  explicit ChannelCore(std::size_t capacity)
      : limit_(capacity), buffer_(capacity == kUnbounded ? 0 : capacity) {}
  ~ChannelCore() {
    check(senders_.empty() && receivers_.empty(),
          "a channel is destroyed while tasks send or receive: close() it, and let them end");
  }

  void close() {
    GrantedWaiters granted;
    const std::lock_guard guard(mutex_);
    closed_ = true;
    while (Sender* sender = senders_.pop()) {
      granted.add(*sender);
    }
    while (Receiver* receiver = receivers_.pop()) {
      granted.add(*receiver);
    }
  }

  bool is_closed() const {
    const std::lock_guard guard(mutex_);
    return closed_;
  }

  std::size_t size() const {
    const std::lock_guard guard(mutex_);
    return buffer_.size();
  }

  // Moves from `value` if it returns true.
  bool try_send(T& value) {
    GrantedWaiters granted;
    const std::lock_guard guard(mutex_);
    return put(value, granted);
  }

  std::optional<T> try_receive() {
    std::optional<T> value;
    GrantedWaiters granted;
    const std::lock_guard guard(mutex_);
    if (can_take()) {
      value.emplace(take(granted));
    }
    return value;
  }

  // False if the sender is queued, and will be resumed.
  bool send_or_wait(Sender& sender) {
    GrantedWaiters granted;
    const std::lock_guard guard(mutex_);
    sender.accepted_ = put(*sender.value_, granted);
    if (sender.accepted_ || closed_) {
      return true;
    }
    senders_.push(sender);
    return false;
  }

  // False if the receiver is queued, and will be resumed.
  bool receive_or_wait(Receiver& receiver) {
    GrantedWaiters granted;
    const std::lock_guard guard(mutex_);
    while (receiver.has_room() && can_take()) {
      receiver.accept(take(granted));
    }
    if (receiver.is_satisfied() || closed_) {
      return true;
    }
    receivers_.push(receiver);
    return false;
  }

  // False if the waiter was granted before.
  bool withdraw(Sender& sender) {
    const std::lock_guard guard(mutex_);
    return WaiterQueue<Sender>::remove(sender);
  }
  bool withdraw(Receiver& receiver) {
    const std::lock_guard guard(mutex_);
    return WaiterQueue<Receiver>::remove(receiver);
  }

  static bool was_accepted(const Sender& sender) { return sender.accepted_; }

 private:
  // All three under `mutex_`.
  bool put(T& value, GrantedWaiters& granted) {
    if (closed_) {
      return false;
    }
    if (Receiver* receiver = receivers_.front(); receiver != nullptr) {
      receiver->accept(std::move(value));
      if (receiver->is_satisfied()) {
        receivers_.pop();
        granted.add(*receiver);
      }
      return true;
    }
    if (buffer_.size() == limit_) {
      return false;
    }
    if (buffer_.full()) {
      buffer_.grow(std::max(std::size_t{8}, buffer_.capacity() * 2));
    }
    buffer_.push(std::move(value));
    return true;
  }

  bool can_take() const { return !buffer_.empty() || !senders_.empty(); }

  T take(GrantedWaiters& granted) {
    Sender* const sender = senders_.pop();
    if (sender != nullptr) {
      sender->accepted_ = true;
      granted.add(*sender);
    }
    if (buffer_.empty()) {
      return std::move(*sender->value_);
    }
    T value = buffer_.pop();
    if (sender != nullptr) {
      buffer_.push(std::move(*sender->value_));
    }
    return value;
  }

  mutable std::mutex mutex_;
  bool closed_ = false;
  std::size_t limit_;
  RingBuffer<T> buffer_;
  WaiterQueue<Sender> senders_;
  WaiterQueue<Receiver> receivers_;
};

inline absl::Status channel_is_closed() {
  return absl::FailedPreconditionError("send into a channel that is closed");
}
inline absl::Status channel_has_ended() {
  return absl::OutOfRangeError("receive from a channel that is closed and empty");
}

// co_await channel.receive().
template <typename T>
class [[nodiscard("co_await it")]] ReceiveOne : public ChannelReceiver<T> {
 public:
  explicit ReceiveOne(ChannelCore<T>& core)
      : ChannelReceiver<T>(&value_, {}, 1, &ReceiveOne::withdraw), core_(core) {}

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    if (!this->start(task.promise()) || core_.receive_or_wait(*this)) {
      return this->complete_at_once();
    }
    return true;
  }
  absl::StatusOr<T> await_resume() {
    this->end_operation();
    if (value_.has_value()) {
      return *std::move(value_);
    }
    return this->was_cancelled() ? cancelled() : channel_has_ended();
  }

 private:
  static void withdraw(CancelNode& node) {
    auto& self = static_cast<ReceiveOne&>(static_cast<Operation&>(node));
    if (self.core_.withdraw(self)) {
      self.complete_cancelled();
    }
  }

  ChannelCore<T>& core_;
  std::optional<T> value_;
};

// co_await channel.receive(span, min).
template <typename T>
class [[nodiscard("co_await it")]] ReceiveMany : public ChannelReceiver<T> {
 public:
  ReceiveMany(ChannelCore<T>& core, std::span<T> out, std::size_t min)
      : ChannelReceiver<T>(nullptr, out, min, &ReceiveMany::withdraw), core_(core) {
    check(min <= out.size(), "a batch of a channel is asked for more elements than its span holds");
  }

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    if (!this->start(task.promise()) || core_.receive_or_wait(*this)) {
      return this->complete_at_once();
    }
    return true;
  }
  absl::StatusOr<std::size_t> await_resume() {
    this->end_operation();
    if (this->count() != 0 || this->is_satisfied()) {
      return this->count();
    }
    return this->was_cancelled() ? cancelled() : channel_has_ended();
  }

 private:
  static void withdraw(CancelNode& node) {
    auto& self = static_cast<ReceiveMany&>(static_cast<Operation&>(node));
    if (self.core_.withdraw(self)) {
      self.complete_cancelled();
    }
  }

  ChannelCore<T>& core_;
};

// co_await channel.send(value).
template <typename T>
class [[nodiscard("co_await it")]] Send : public ChannelSender<T> {
 public:
  Send(ChannelCore<T>& core, T& value) : ChannelSender<T>(value, &Send::withdraw), core_(core) {}

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    if (!this->start(task.promise()) || core_.send_or_wait(*this)) {
      return this->complete_at_once();
    }
    return true;
  }
  absl::Status await_resume() {
    this->end_operation();
    if (ChannelCore<T>::was_accepted(*this)) {
      return absl::OkStatus();
    }
    return this->was_cancelled() ? cancelled() : channel_is_closed();
  }

 private:
  static void withdraw(CancelNode& node) {
    auto& self = static_cast<Send&>(static_cast<Operation&>(node));
    if (self.core_.withdraw(self)) {
      self.complete_cancelled();
    }
  }

  ChannelCore<T>& core_;
};

// What both channels have.
template <typename T>
class ReceivingChannel {
 public:
  // absl::StatusOr<T>: the oldest element.
  ReceiveOne<T> receive() { return ReceiveOne<T>(core_); }

  // absl::StatusOr<std::size_t>: how many elements were moved into the span, at least `min`, unless
  // the channel was closed or the task cancelled after some had come.
  ReceiveMany<T> receive(std::span<T> out, std::size_t min = 1) { return {core_, out, min}; }

  // Nothing if the channel is empty.
  std::optional<T> try_receive() { return core_.try_receive(); }

  // No element gets in any more. Ends the waits of senders, and of receivers once it is empty.
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
