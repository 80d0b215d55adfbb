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

}  // namespace

absl::StatusOr<std::string_view> Inbox::Receive::await_resume() {
  inbox_.reader_.sleeper().wait_is_over();
  if (absl::Status status = SourceWait::await_resume(); !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::optional<std::string_view>> message = inbox_.reader_.read();
  if (!message.ok()) {
    return message.status();
  }
  return message->has_value() ? absl::StatusOr<std::string_view>(**message) : taken_back();
}

// Writes in await_suspend(), so that a task that never has to wait leaves others their turn.
void Outbox::Send::try_to_write() {
  written_ = outbox_.writer_.write(message_);
  if (written_.ok() && !*written_) {
    outbox_.writer_.wait();
  }
}

// What was written is sent, whether the task is cancelled or not.
absl::Status Outbox::Send::await_resume() {
  if (!written_.ok() || *written_) {
    return written_.status();
  }
  outbox_.writer_.sleeper().wait_is_over();
  if (absl::Status status = SourceWait::await_resume(); !status.ok()) {
    return status;
  }
  written_ = outbox_.writer_.write(message_);
  return written_.ok() && !*written_ ? taken_back() : written_.status();
}

}  // namespace shm_rpc
