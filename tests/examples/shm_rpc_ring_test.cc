// The ring by itself: what fits, what wraps, who rings, and what a hostile partner may write.

#include <fcntl.h>
#include <sys/eventfd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "examples/shm_rpc/ring.h"
#include "tests/support/descriptors.h"
#include "tests/support/test_timeout.h"

namespace shm_rpc {
namespace {

using coaio::UniqueFd;
using coaio::testing::make_eventfd;

struct BothEnds {
  std::unique_ptr<RingMemory> memory = std::make_unique<RingMemory>();
  UniqueFd readers_bell = make_eventfd(0);
  UniqueFd writers_bell = make_eventfd(0);
  RingWriter writer{*memory, readers_bell.get()};
  RingReader reader{*memory, writers_bell.get()};

  bool write(std::string_view text) {
    const absl::StatusOr<bool> written = writer.write(text);
    REQUIRE(written.ok());
    return *written;
  }
  std::string read() {
    const absl::StatusOr<std::optional<std::string_view>> message = reader.read();
    REQUIRE(message.ok());
    return std::string(message->value_or("nothing"));
  }
};

// How often it was rung since the last time.
std::uint64_t rings(const UniqueFd& bell) {
  eventfd_t count = 0;
  return eventfd_read(bell.get(), &count) == 0 ? count : 0;
}

TEST_CASE("messages come out as they went in, in order, the empty one too") {
  BothEnds ends;
  CHECK(ends.read() == "nothing");
  CHECK(ends.write("one"));
  CHECK(ends.write(""));
  CHECK(ends.write(std::string(kLargestMessage, 'x')));
  CHECK(ends.read() == "one");
  CHECK(ends.read().empty());
  CHECK(ends.read() == std::string(kLargestMessage, 'x'));
  CHECK(ends.read() == "nothing");
}

TEST_CASE("messages of all sizes cross the end of the ring whole") {
  BothEnds ends;
  std::minstd_rand random(1);
  std::uint64_t bytes = 0;
  for (int i = 0; bytes < 20 * kRingBytes; ++i) {
    const std::string text(random() % 3000, static_cast<char>('a' + i % 26));
    REQUIRE(ends.write(text));
    REQUIRE(ends.read() == text);
    bytes += text.size();
  }
}

TEST_CASE("a message that is too large is refused, and changes nothing") {
  BothEnds ends;
  CHECK(absl::IsInvalidArgument(ends.writer.write(std::string(kLargestMessage + 1, 'x')).status()));
  CHECK(ends.read() == "nothing");
}

TEST_CASE("a full ring takes no more until something was read") {
  BothEnds ends;
  const std::string text(1000, 'x');
  int count = 0;
  while (ends.write(text)) {
    ++count;
  }
  CHECK(count == static_cast<int>((kRingBytes - 64) / 1024));
  CHECK(!ends.writer.can_go_on());
  for (int i = 0; i < 8; ++i) {  // the reader says how far it is in steps
    CHECK(!ends.writer.can_go_on());
    CHECK(ends.read() == text);
  }
  CHECK(ends.writer.can_go_on());
  for (int i = 0; i < 8; ++i) {
    CHECK(ends.write(text));
  }
  CHECK(!ends.write(text));
}

TEST_CASE("a reader and a writer on two threads lose nothing") {
  BothEnds ends;
  constexpr int kMessages = 100'000;
  std::thread writer([&] {
    for (int i = 0; i < kMessages; ++i) {
      const std::string text = std::to_string(i);
      while (!*ends.writer.write(text)) {
        std::this_thread::yield();
      }
    }
  });
  int right = 0;
  for (int i = 0; i < kMessages;) {
    const absl::StatusOr<std::optional<std::string_view>> message = ends.reader.read();
    if (!message->has_value()) {
      std::this_thread::yield();
      continue;
    }
    right += **message == std::to_string(i) ? 1 : 0;
    ++i;
  }
  writer.join();
  CHECK(right == kMessages);
}

// --- who rings ----------------------------------------------------------------------------------

TEST_CASE("a reader is rung for once if it waits, and not while it works or is polled") {
  BothEnds ends;
  CHECK(ends.write("1"));
  CHECK(rings(ends.readers_bell) == 0);
  ends.read();

  ends.reader.wait();
  CHECK(ends.write("2"));
  CHECK(ends.write("3"));
  CHECK(rings(ends.readers_bell) == 1);
  ends.reader.sleeper().wait_is_over();
  ends.read();
  ends.read();

  ends.reader.sleeper().poll_begin();
  ends.reader.wait();
  CHECK(ends.write("4"));
  CHECK(rings(ends.readers_bell) == 0);
  ends.read();
  ends.reader.sleeper().poll_end();
  CHECK(ends.write("5"));
  CHECK(rings(ends.readers_bell) == 1);
}

TEST_CASE("a writer is rung for if it waits for room, and not otherwise") {
  BothEnds ends;
  const std::string text(kLargestMessage, 'x');
  while (ends.write(text)) {
  }
  ends.read();
  CHECK(rings(ends.writers_bell) == 0);
  while (ends.write(text)) {
  }
  ends.writer.wait();
  ends.read();
  ends.read();
  CHECK(rings(ends.writers_bell) == 1);
}

TEST_CASE(
    "a writer that waits for much room is rung for when there is enough, however small the steps") {
  BothEnds ends;
  while (ends.write("small")) {
  }
  REQUIRE(!ends.write(std::string(kLargestMessage, 'x')));
  ends.writer.wait();
  while (!ends.writer.can_go_on()) {
    CHECK(rings(ends.writers_bell) == 0);
    REQUIRE(ends.read() == "small");
  }
  CHECK(rings(ends.writers_bell) == 1);
}

TEST_CASE("who rings late does not take back the announcement of the next sleep") {
  BothEnds ends;
  Ringer late(ends.memory->reader_sleeps, ends.readers_bell.get());
  ends.reader.wait();
  const std::uint64_t seen = late.announced();
  CHECK(ends.write("1"));
  ends.read();
  ends.reader.sleeper().wait_is_over();
  ends.reader.wait();
  rings(ends.readers_bell);

  late.ring_for(seen);
  CHECK(rings(ends.readers_bell) == 0);
  CHECK(ends.write("2"));
  CHECK(rings(ends.readers_bell) == 1);
}

TEST_CASE("a full doorbell does not stop who rings it") {
  BothEnds ends;
  REQUIRE(eventfd_write(ends.readers_bell.get(), UINT64_MAX - 1) == 0);
  ends.reader.wait();
  CHECK(ends.write("x"));
  CHECK(ends.read() == "x");
}

TEST_CASE("a full doorbell that the other side has made blocking does not stop who rings it") {
  const coaio::testing::TestTimeout patience;
  BothEnds ends;
  REQUIRE(eventfd_write(ends.readers_bell.get(), UINT64_MAX - 1) == 0);
  REQUIRE(fcntl(ends.readers_bell.get(), F_SETFL, 0) == 0);
  ends.reader.wait();
  CHECK(ends.write("x"));
  CHECK(ends.read() == "x");
}

// --- a partner that is not to be trusted --------------------------------------------------------

TEST_CASE("a position that makes no sense is an error, and ends a wait") {
  for (const std::uint64_t claim : {std::uint64_t{64}, kRingBytes, UINT64_MAX / 2}) {
    BothEnds ends;
    const std::string text(kLargestMessage, 'x');
    while (ends.write(text)) {
    }
    ends.memory->read = claim + 3 * (kLargestMessage + 64);
    CHECK(ends.writer.can_go_on());
    CHECK(absl::IsDataLoss(ends.writer.write(text).status()));
  }
}

TEST_CASE("an announcement that makes no sense is an error, for good, and ends a wait") {
  constexpr std::uint64_t kPlace = 64;
  for (const std::uint64_t claim :
       {kPlace << 32, std::uint64_t{1} << 32, std::uint64_t{5} << 32 | 5,
        std::uint64_t{kLargestMessage} + 2, UINT64_MAX}) {
    BothEnds ends;
    ends.memory->announcement(0).store(claim);
    CHECK(ends.reader.can_go_on());
    CHECK(absl::IsDataLoss(ends.reader.read().status()));
    CHECK(absl::IsDataLoss(ends.reader.read().status()));
  }
}

TEST_CASE("a ring that made no sense once is an error for good, also when it is mended") {
  const std::string text(kLargestMessage, 'x');
  {
    BothEnds ends;
    ends.memory->announcement(0).store(UINT64_MAX);
    CHECK(absl::IsDataLoss(ends.reader.read().status()));
    ends.memory->announcement(0).store(0);
    CHECK(ends.write("mended"));
    CHECK(absl::IsDataLoss(ends.reader.read().status()));
    CHECK(ends.reader.can_go_on());  // so that no task waits for more
  }
  {
    BothEnds ends;
    while (ends.write(text)) {
    }
    ends.memory->read = UINT64_MAX / 2;
    CHECK(absl::IsDataLoss(ends.writer.write(text).status()));
    ends.memory->read = 3 * (kLargestMessage + 64);
    CHECK(absl::IsDataLoss(ends.writer.write("small").status()));
    CHECK(ends.writer.can_go_on());
  }
}

TEST_CASE("random damage never makes the reader leave the ring") {
  std::minstd_rand random(7);
  for (int round = 0; round < 2000; ++round) {
    BothEnds ends;
    for (int i = 0; i < 20; ++i) {
      ends.write(std::string(random() % 200, 'x'));
    }
    for (int i = 0; i < 200; ++i) {
      ends.memory->bytes[random() % 4000] = static_cast<std::byte>(random());
    }
    // One that is announced, whatever its bytes are.
    ends.memory->announcement(0).store(1 + random() % (kLargestMessage + 100));
    for (int i = 0; i < 40; ++i) {
      const auto message = ends.reader.read();
      if (!message.ok() || !message->has_value()) {
        break;
      }
      CHECK((*message)->size() <= kLargestMessage);
    }
  }
}

}  // namespace
}  // namespace shm_rpc
