// ChannelCore: the queue of Channel and UnboundedChannel, and the tasks that wait for it. Private
// to coro/sync.
//
// At any time at most one of these is true:
//
//   receivers wait    the buffer is empty, and no sender waits
//   senders wait      the buffer is full
//
// Threads: any. Every function of ChannelCore locks the mutex of the channel.

#ifndef COAIO_CORO_SYNC_CHANNEL_CORE_H_
#define COAIO_CORO_SYNC_CHANNEL_CORE_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "backends/check.h"
#include "coro/cancel.h"
#include "coro/sync/ring_buffer.h"
#include "coro/sync/sync_object.h"
#include "coro/sync/sync_waiter.h"

namespace coaio::internal {

// A task that waits for room. Its element stays where its caller has it until it is accepted.
template <typename T>
class ChannelSender : public SyncWaiter {
 protected:
  ChannelSender(CancelNode::Cancel cancel, T& value) : SyncWaiter(cancel), value_(&value) {}

  // For await_resume(): the operation may be awaited again.
  bool take_accepted() { return std::exchange(accepted_, false); }

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
  ChannelReceiver(CancelNode::Cancel cancel, std::optional<T>* one, std::span<T> many,
                  std::size_t min)
      : SyncWaiter(cancel), one_(one), many_(many), min_(min) {}

  // For await_resume(): the operation may be awaited again.
  std::size_t take_count() { return std::exchange(count_, 0); }

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
  bool is_satisfied() const { return count_ >= min_; }
  bool has_room() const { return count_ < (one_ != nullptr ? 1 : many_.size()); }

  std::optional<T>* one_;
  std::span<T> many_;
  std::size_t min_;
  std::size_t count_ = 0;  // guarded by the mutex of the channel until the task goes on
};

template <typename T>
class ChannelCore : private SyncObject {
 public:
  static constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

  using Sender = ChannelSender<T>;
  using Receiver = ChannelReceiver<T>;

  explicit ChannelCore(std::size_t capacity)
      : limit_(capacity), buffer_(capacity == kUnbounded ? 0 : capacity) {}
  ~ChannelCore() {
    check((senders_.empty() && receivers_.empty()) || was_forked(),
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
  bool withdraw(SyncWaiter& waiter) {
    const std::lock_guard guard(mutex_);
    return WaiterQueue<SyncWaiter>::remove(waiter);
  }

 private:
  // Under mutex_. The first moves from `value` if it returns true.
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

  const std::size_t limit_;
  bool closed_ = false;  // guarded by mutex_, and so are the next three
  RingBuffer<T> buffer_;
  WaiterQueue<Sender> senders_;
  WaiterQueue<Receiver> receivers_;
};

}  // namespace coaio::internal

#endif  // COAIO_CORO_SYNC_CHANNEL_CORE_H_
