#include "examples/shm_rpc/ring.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace shm_rpc {
namespace {

// A record is its announcement and the bytes of the message, and begins with a cache line.
constexpr std::uint64_t kLine = 64;
constexpr std::uint64_t kAnnouncementBytes = sizeof(std::uint64_t);

constexpr std::uint64_t bytes_of(std::uint64_t length) {
  return (kAnnouncementBytes + length + kLine - 1) / kLine * kLine;
}

// The reader says how far it is in such steps. When it has read everything, the largest message
// has room all the same.
constexpr std::uint64_t kStep = kRingBytes / 8;
static_assert(kStep + bytes_of(kLargestMessage) + kLine <= kRingBytes);

// Not zero, which announces nothing. The position makes most of what a partner writes by mistake
// recognisable.
constexpr std::uint64_t announcement_of(std::uint64_t position, std::uint32_t length) {
  return (position / kLine) << 32 | (length + 1);
}

// A message that crosses the end of the ring goes on at its beginning.
void copy_in(RingMemory& memory, std::uint64_t position, std::string_view text) {
  const std::uint64_t at = position % kRingBytes;
  const std::size_t before_end = std::min<std::uint64_t>(text.size(), kRingBytes - at);
  std::memcpy(memory.bytes + at, text.data(), before_end);
  if (before_end < text.size()) {
    std::memcpy(memory.bytes, text.data() + before_end, text.size() - before_end);
  }
}

void copy_out(const RingMemory& memory, std::uint64_t position, char* to, std::size_t size) {
  const std::uint64_t at = position % kRingBytes;
  const std::size_t before_end = std::min<std::uint64_t>(size, kRingBytes - at);
  std::memcpy(to, memory.bytes + at, before_end);
  if (before_end < size) {
    std::memcpy(to + before_end, memory.bytes, size - before_end);
  }
}

absl::Status corrupt(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the other side has corrupted the ring: ", what));
}

}  // namespace

// --- sleeping -----------------------------------------------------------------------------------

void Sleeper::wait(std::uint64_t position) {
  position_ = position;
  if (!polled_) {
    announce();
  }
}

void Sleeper::wait_is_over() {
  if (std::exchange(position_, 0) != 0 && !polled_) {
    withdraw();
  }
}

void Sleeper::poll_begin() {
  polled_ = true;
  withdraw();
}

void Sleeper::poll_end() {
  polled_ = false;
  if (position_ != 0) {
    announce();
  }
}

// Seq_cst: pairs with Ringer::announced(). The caller then reads the other side's position again.
void Sleeper::announce() { sleeps_.store(position_, std::memory_order_seq_cst); }

// Relaxed: one use of the doorbell too many does no harm.
void Sleeper::withdraw() { sleeps_.store(0, std::memory_order_relaxed); }

// --- ringing ------------------------------------------------------------------------------------

// Seq_cst, after a seq_cst store of our position: pairs with Sleeper::announce() and the look after
// it. Of the two sides at least one sees the other: we ring, or it goes on.
std::uint64_t Ringer::announced() const { return sleeps_.load(std::memory_order_seq_cst); }

// Takes back the announcement that was seen, so that the doorbell is used once for it. A newer
// announcement stays: its side has read our position before it sleeps, and without the announcement
// its doorbell would not be used again. Relaxed: it publishes nothing.
void Ringer::ring_for(std::uint64_t sleep) {
  if (!sleeps_.compare_exchange_strong(sleep, 0, std::memory_order_relaxed)) {
    return;
  }
  // A doorbell whose counter is full has been rung enough. The other side may have made it
  // blocking: a write to a full one would not return then.
  pollfd doorbell{.fd = doorbell_, .events = POLLOUT, .revents = 0};
  if (poll(&doorbell, 1, 0) == 1) {
    eventfd_write(doorbell_, 1);
  }
}

// --- writing ------------------------------------------------------------------------------------

absl::StatusOr<bool> RingWriter::write(std::string_view message) {
  if (message.size() > kLargestMessage) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", message.size(), " bytes is larger than ", kLargestMessage));
  }
  if (!damage_.ok()) {
    return damage_;
  }
  needed_ = 0;
  // With the word behind it, which has to say that nothing follows yet.
  const std::uint64_t size = bytes_of(message.size());
  if (written_ + size + kLine - seen_read_ > kRingBytes) {
    // Seq_cst: pairs with the reader's store in read(). As an acquire it keeps us from writing over
    // bytes before they were copied; in the order of all such operations it is the second look of a
    // sleeper.
    const std::uint64_t read = memory_.read.load(std::memory_order_seq_cst);
    if (written_ - read > kRingBytes) {
      return damage_ = corrupt("it has read what was not written");
    }
    seen_read_ = read;
    if (written_ + size + kLine - read > kRingBytes) {
      needed_ = size + kLine;
      return false;
    }
  }
  copy_in(memory_, written_ + kAnnouncementBytes, message);
  // Relaxed: published by the store that follows.
  memory_.announcement(written_ + size).store(0, std::memory_order_relaxed);
  // Seq_cst: as a release it pairs with the load in RingReader; see also Ringer::announced().
  memory_.announcement(written_).store(
      announcement_of(written_, static_cast<std::uint32_t>(message.size())),
      std::memory_order_seq_cst);
  written_ += size;
  reader_.reached(written_);
  // The next small message clears this cache line. The reader's CPU may hold it, and to fetch it
  // takes as long as a message.
  __builtin_prefetch(memory_.bytes + (written_ + kLine) % kRingBytes, 1);
  return true;
}

// A reader that claims to be ahead of us ends the wait too: write() says so.
bool RingWriter::can_go_on() const {
  if (needed_ == 0 || !damage_.ok()) {
    return true;
  }
  const std::uint64_t used = written_ - memory_.read.load(std::memory_order_seq_cst);
  return used > kRingBytes || used + needed_ <= kRingBytes;
}

// Not for the next step of the reader, which may be too short: it would take the announcement back,
// and we would sleep on without one.
void RingWriter::wait() { sleeper_.wait(written_ + needed_ - kRingBytes); }

// --- reading ------------------------------------------------------------------------------------

absl::StatusOr<std::optional<std::string_view>> RingReader::read() {
  if (!damage_.ok()) {
    return damage_;
  }
  // Seq_cst: as an acquire it pairs with the store in write(); see also Ringer::announced().
  const std::uint64_t announcement = memory_.announcement(read_).load(std::memory_order_seq_cst);
  if (announcement == 0) {
    return std::nullopt;
  }
  // From here on nothing is read twice.
  const std::uint32_t length = static_cast<std::uint32_t>(announcement) - 1;
  if (length > kLargestMessage || announcement != announcement_of(read_, length)) {
    return damage_ = corrupt("a message is announced that cannot be there");
  }
  copy_out(memory_, read_ + kAnnouncementBytes, message_.get(), length);
  read_ += bytes_of(length);
  if (read_ - published_ >= kStep) {
    published_ = read_;
    // Seq_cst: as a release it pairs with the load in RingWriter, which may overwrite what we have
    // copied; see also Ringer::announced().
    memory_.read.store(read_, std::memory_order_seq_cst);
    writer_.reached(read_);
  }
  return std::string_view(message_.get(), length);
}

bool RingReader::can_go_on() const {
  return !damage_.ok() || memory_.announcement(read_).load(std::memory_order_seq_cst) != 0;
}

void RingReader::wait() { sleeper_.wait(read_ + kLine); }

}  // namespace shm_rpc
