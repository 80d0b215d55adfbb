// Inbox and Outbox: the two ends of a ring, for coroutines.
//
//   const ScopedPollSource added(context, inbox);
//   absl::StatusOr<std::string_view> message = co_await inbox.receive();
//
// Each is a poll source: the loop looks at the ring while it polls, and asks for its doorbell
// before it sleeps.
//
// Threads: the home thread of the context that they are added to.
// Lifetime: the ring's memory and the doorbells outlive both.
// Cancellation: receive() and send() end with kCancelled; a message is sent whole or not at all.
// Errors: DataLossError if the ring makes no sense; UnavailableError after hang_up(), which
//   receive() gives once everything is received that was there.

#ifndef COAIO_EXAMPLES_SHM_RPC_MAILBOX_H_
#define COAIO_EXAMPLES_SHM_RPC_MAILBOX_H_

#include <coroutine>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
#include "examples/shm_rpc/ring.h"

namespace shm_rpc {

// A cache line of its own: the two sides may be threads of one process.
class alignas(64) Inbox final : public coaio::AwaitablePollSource {
 public:
  class Receive;

  Inbox(RingMemory& ring, int my_bell, int bell_of_writer)
      : AwaitablePollSource(my_bell), reader_(ring, bell_of_writer) {}

  // Gives an absl::StatusOr<std::string_view>; the message is good until the next call.
  [[nodiscard]] Receive receive();

  // The other side has ended.
  void hang_up() { ended_ = true; }
  bool empty() const { return !reader_.can_go_on(); }

  bool ready() override { return ended_ || !empty(); }
  void poll_begin() override { reader_.sleeper().poll_begin(); }
  void poll_end() override { reader_.sleeper().poll_end(); }

 private:
  RingReader reader_;
  bool ended_ = false;
};

class alignas(64) Outbox final : public coaio::AwaitablePollSource {
 public:
  class Send;

  Outbox(RingMemory& ring, int my_bell, int bell_of_reader)
      : AwaitablePollSource(my_bell), writer_(ring, bell_of_reader) {}

  // Gives an absl::Status. Waits while the ring is full.
  [[nodiscard]] Send send(std::string_view message);

  // The other side has ended.
  void hang_up() { ended_ = true; }

  bool ready() override { return ended_ || writer_.can_go_on(); }
  void poll_begin() override { writer_.sleeper().poll_begin(); }
  void poll_end() override { writer_.sleeper().poll_end(); }

 private:
  RingWriter writer_;
  bool ended_ = false;
};

// poll_source(inbox), and the reading after it, without the frame of a Task.
class Inbox::Receive : private coaio::AwaitablePollSource::Wait {
 public:
  explicit Receive(Inbox& inbox) : Wait(inbox), inbox_(inbox) {}

  using Wait::await_ready;
  template <coaio::TaskPromiseType Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    if (!inbox_.ready()) {
      inbox_.reader_.wait();  // the wait that follows looks again
    }
    return Wait::await_suspend(task);
  }
  absl::StatusOr<std::string_view> await_resume();

 private:
  Inbox& inbox_;
};

// The writing, and if there was no room, poll_source(outbox) and the writing again.
class Outbox::Send : private coaio::AwaitablePollSource::Wait {
 public:
  Send(Outbox& outbox, std::string_view message)
      : Wait(outbox), outbox_(outbox), message_(message) {}

  using Wait::await_ready;
  template <coaio::TaskPromiseType Promise>
  bool await_suspend(std::coroutine_handle<Promise> task) {
    if (!task.promise().cancel_requested()) {
      try_to_write();
    }
    return Wait::await_suspend(task);
  }
  absl::Status await_resume();

 private:
  void try_to_write();
  void write();

  Outbox& outbox_;
  std::string_view message_;
  absl::StatusOr<bool> written_ = false;
};

inline Inbox::Receive Inbox::receive() { return Receive(*this); }
inline Outbox::Send Outbox::send(std::string_view message) { return {*this, message}; }

}  // namespace shm_rpc

#endif  // COAIO_EXAMPLES_SHM_RPC_MAILBOX_H_
