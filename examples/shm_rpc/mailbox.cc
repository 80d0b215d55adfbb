#include "examples/shm_rpc/mailbox.h"

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"

namespace shm_rpc {
namespace {

// Only a partner that writes where it must not can make what was ready vanish.
absl::Status taken_back() {
  return absl::DataLossError("the other side has corrupted the ring: it has taken something back");
}

absl::Status ended() { return absl::UnavailableError("the other process has ended"); }

}  // namespace

absl::StatusOr<std::string_view> Inbox::Receive::await_resume() {
  inbox_.reader_.sleeper().wait_is_over();
  if (absl::Status status = Wait::await_resume(); !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::optional<std::string_view>> message = inbox_.reader_.read();
  if (!message.ok()) {
    return message.status();
  }
  if (!message->has_value()) {
    return inbox_.ended_ ? ended() : taken_back();
  }
  return **message;
}

// Writes in await_suspend(), so that a task that never has to wait leaves others their turn.
void Outbox::Send::try_to_write() {
  write();
  if (written_.ok() && !*written_) {
    outbox_.writer_.wait();
  }
}

void Outbox::Send::write() {
  if (outbox_.ended_) {
    written_ = ended();
  } else {
    written_ = outbox_.writer_.write(message_);
  }
}

// What was written is sent, whether the task is cancelled or not.
absl::Status Outbox::Send::await_resume() {
  if (!written_.ok() || *written_) {
    return written_.status();
  }
  outbox_.writer_.sleeper().wait_is_over();
  if (absl::Status status = Wait::await_resume(); !status.ok()) {
    return status;
  }
  write();
  return written_.ok() && !*written_ ? taken_back() : written_.status();
}

}  // namespace shm_rpc
