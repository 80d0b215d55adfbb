// A ring of messages in memory that two processes share: one writes, the other reads.
//
//   RingWriter writer(memory, bell_of_reader);     RingReader reader(memory, bell_of_writer);
//   writer.write("hello");  // false: full         reader.read();  // the message, or nothing
//
// A message is announced by the word in front of it, which the reader watches: a small one comes in
// the same cache line, in one transfer. Now and then the reader publishes its position; the writer
// reads it when the ring seems full.
//
// What one side reads of the other is not trusted: it is loaded once, checked, and only then used,
// and a message is copied out before its content is read. A ring that makes no sense is a
// DataLossError, for good.
//
// A side that finds nothing to do announces in the memory for which position of the other side it
// sleeps. The other side writes to its doorbell, an eventfd, when it reaches that position. A side
// that is polled announces nothing, and its doorbell stays silent. The protocol is checked by
// docs/model/doorbell.pml.
//
// Threads: one on each side.
// Lifetime: the memory and the doorbells outlive both.

#ifndef COAIO_EXAMPLES_SHM_RPC_RING_H_
#define COAIO_EXAMPLES_SHM_RPC_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shm_rpc {

inline constexpr std::uint64_t kRingBytes = 64 * 1024;
inline constexpr std::uint32_t kLargestMessage = 16 * 1024;

// What is shared. Everything may change at any time: the other side is another program.
struct RingMemory {
  alignas(64) std::atomic<std::uint64_t> read;  // bytes, since the beginning
  // For which position of the other one each sleeps; 0: it does not.
  alignas(64) std::atomic<std::uint64_t> reader_sleeps;
  alignas(64) std::atomic<std::uint64_t> writer_sleeps;
  alignas(64) std::byte bytes[kRingBytes];

  // The word in front of the message at this position, a multiple of 64. An access is one load or
  // one store, whatever the optimiser assumes about memory that no other thread seems to use.
  std::atomic_ref<std::uint64_t> announcement(std::uint64_t position) {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(bytes + position % kRingBytes));
  }
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock is not shared");

// Announces that one side has to be woken by its doorbell: while it waits, unless it is polled.
class Sleeper {
 public:
  explicit Sleeper(std::atomic<std::uint64_t>& sleeps) : sleeps_(sleeps) {}

  // Waits until the other side is at this position, which is not 0. The caller probes once more
  // after wait() and poll_end(): the doorbell is not used for what came before.
  void wait(std::uint64_t position);
  void wait_is_over();
  void poll_begin();
  void poll_end();

 private:
  void announce();
  void withdraw();

  std::atomic<std::uint64_t>& sleeps_;
  std::uint64_t position_ = 0;  // 0: it does not wait
  bool polled_ = false;
};

// Writes to the doorbell of the other side, if that sleeps.
class Ringer {
 public:
  Ringer(std::atomic<std::uint64_t>& sleeps, int doorbell) : sleeps_(sleeps), doorbell_(doorbell) {}

  // This side is at `position`, and has published it by a seq_cst store.
  void reached(std::uint64_t position) {
    if (const std::uint64_t sleep = announced(); sleep != 0 && position >= sleep) {
      ring_for(sleep);
    }
  }

  // The two halves of it, between which the other side may go on, and sleep again.
  std::uint64_t announced() const;
  void ring_for(std::uint64_t sleep);

 private:
  std::atomic<std::uint64_t>& sleeps_;
  int doorbell_;
};

class RingWriter {
 public:
  RingWriter(RingMemory& memory, int bell_of_reader)
      : memory_(memory),
        reader_(memory.reader_sleeps, bell_of_reader),
        sleeper_(memory.writer_sleeps) {}

  // False: there is no room for it now. At most kLargestMessage bytes.
  absl::StatusOr<bool> write(std::string_view message);

  // There is room for the message that did not fit, or the ring makes no sense.
  bool can_go_on() const;

  // Until there is room for it.
  void wait();
  Sleeper& sleeper() { return sleeper_; }

 private:
  RingMemory& memory_;
  Ringer reader_;
  Sleeper sleeper_;
  std::uint64_t written_ = 0;    // bytes, since the beginning
  std::uint64_t seen_read_ = 0;  // of the reader's position, when it was last checked
  std::uint64_t needed_ = 0;     // bytes, for the message that did not fit
  absl::Status damage_;          // once the ring has made no sense, it never does again
};

class RingReader {
 public:
  RingReader(RingMemory& memory, int bell_of_writer)
      : memory_(memory),
        writer_(memory.writer_sleeps, bell_of_writer),
        sleeper_(memory.reader_sleeps) {}

  // The next message, or nothing. It is good until the next call.
  absl::StatusOr<std::optional<std::string_view>> read();

  // There is a message, or the ring makes no sense.
  bool can_go_on() const;

  // Until there is one.
  void wait();
  Sleeper& sleeper() { return sleeper_; }

 private:
  RingMemory& memory_;
  Ringer writer_;
  Sleeper sleeper_;
  std::uint64_t read_ = 0;  // bytes, since the beginning
  std::uint64_t published_ = 0;
  absl::Status damage_;  // once the ring has made no sense, it never does again
  std::unique_ptr<char[]> message_ = std::make_unique<char[]>(kLargestMessage);
};

}  // namespace shm_rpc

#endif  // COAIO_EXAMPLES_SHM_RPC_RING_H_
