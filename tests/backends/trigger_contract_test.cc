// The contract of FdMonitor: the events that each trigger reports and does not report. The clauses
// of kEdge alone are in edge_contract_test.cc.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/back_ends.h"
#include "tests/support/descriptors.h"
#include "tests/support/watcher.h"

namespace coaio::testing {
namespace {

constexpr Key kKey{.slot = 0, .generation = 1};

// --- one-shot -----------------------------------------------------------------------------------

TEST_CASE("a one-shot watch reports once, and again when it is armed again") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    write_all(pair.b, "x");
    Watcher watcher(monitor);
    for (int i = 0; i < 3; ++i) {
      monitor.arm(pair.a.get(), kKey, Events::kIn, Trigger::kOneShot);
      CHECK(watcher.next_of(kKey) == Events::kIn);
      CHECK(watcher.quiet());
      write_all(pair.b, "x");
      CHECK(watcher.quiet());
    }
  });
}

TEST_CASE("a one-shot watch that has reported is silent about hang-up") {
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    write_all(pair.b, "x");
    monitor.arm(pair.a.get(), kKey, Events::kIn, Trigger::kOneShot);
    Watcher watcher(monitor);
    CHECK(watcher.next_of(kKey) == Events::kIn);
    pair.b.reset();
    CHECK(watcher.quiet());
    monitor.arm(pair.a.get(), kKey, Events::kNone, Trigger::kOneShot);
    CHECK(watcher.quiet());
  });
}

// --- level --------------------------------------------------------------------------------------

TEST_CASE("a level-triggered watch is reported once by each wait while the condition holds") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kKey, Events::kIn, Trigger::kLevel);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    for (int i = 0; i < 3; ++i) {
      write_all(pair.b, "x");
      for (int j = 0; j < 3; ++j) {
        CHECK(watcher.next_of(kKey) == Events::kIn);
      }
      read_all(pair.a);
      CHECK(watcher.quiet());
    }
  });
}

// --- both ---------------------------------------------------------------------------------------

TEST_CASE("read-hang-up is reported to those who asked for it") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
      const Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = trigger == Trigger::kLevel ? 2U : 1U};
      REQUIRE(shutdown(pair.b.get(), SHUT_WR) == 0);
      Watcher watcher(monitor);
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      CHECK(watcher.next_of(key) == Events::kIn);
      monitor.arm(pair.a.get(), key, Events::kIn | Events::kReadHangUp, trigger);
      CHECK(watcher.next_of(key) == (Events::kIn | Events::kReadHangUp));
      monitor.disarm(key);
    }
  });
}

TEST_CASE("a writer that waits for room is left alone by the peer's read-hang-up") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
      const Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = trigger == Trigger::kLevel ? 2U : 1U};
      Watcher watcher(monitor);
      for (int i = 0; i < 2; ++i) {
        fill(pair.a);
        REQUIRE(shutdown(pair.b.get(), SHUT_WR) == 0);
        monitor.arm(pair.a.get(), key, Events::kOut, trigger);
        CHECK(watcher.quiet());
        read_all(pair.b);
        CHECK(watcher.next_of(key) == Events::kOut);
        if (trigger == Trigger::kLevel) {
          CHECK(watcher.next_of(key) == Events::kOut);
        }
      }
      monitor.disarm(key);
      CHECK(watcher.quiet());
    }
  });
}

TEST_CASE("a one-shot writer reports once, though hang-up follows before the next wait") {
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    fill(pair.a);
    REQUIRE(shutdown(pair.b.get(), SHUT_WR) == 0);
    monitor.arm(pair.a.get(), kKey, Events::kOut, Trigger::kOneShot);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    read_all(pair.b);
    pair.b.reset();
    CHECK(any(watcher.next_of(kKey) & Events::kOut));
    CHECK(watcher.quiet());
  });
}

// On io_uring the first request of such a watch completes with an event that the owner did not ask
// for. The monitor must submit another request before the wait sleeps.
TEST_CASE(
    "a wait that removes one watch hears of another one that waits past what it did not ask") {
  on_every_back_end([](FdMonitor& monitor) {
    std::uint32_t generation = 0;
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
      ++generation;
      const UniqueFd idle = make_eventfd(0);
      const Pair writer = make_unix_pair();
      fill(writer.a);
      REQUIRE(shutdown(writer.b.get(), SHUT_WR) == 0);
      monitor.arm(idle.get(), {0, generation}, Events::kIn, trigger);
      Watcher watcher(monitor);
      CHECK(watcher.quiet());
      monitor.disarm({0, generation});
      monitor.arm(writer.a.get(), {1, generation}, Events::kOut, trigger);
      std::thread other([&] { read_all(writer.b); });
      CHECK(watcher.next_of({1, generation}) == Events::kOut);
      other.join();
      monitor.disarm({1, generation});
    }
  });
}

TEST_CASE("hang-up and error are reported whatever was asked for") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel}) {
      const std::uint32_t generation = trigger == Trigger::kLevel ? 2 : 1;
      Pair pipe = make_pipe();
      fill(pipe.b);
      Watcher watcher(monitor);
      monitor.arm(pipe.b.get(), {.slot = 0, .generation = generation}, Events::kOut, trigger);
      CHECK(watcher.quiet());
      pipe.a.reset();
      CHECK(any(watcher.next_of({.slot = 0, .generation = generation}) & Events::kError));
      monitor.disarm({.slot = 0, .generation = generation});

      Pair sockets = make_unix_pair();
      monitor.arm(sockets.a.get(), {.slot = 1, .generation = generation}, Events::kPriority,
                  trigger);
      CHECK(watcher.quiet());
      sockets.b.reset();
      CHECK(watcher.next_of({.slot = 1, .generation = generation}) == Events::kHangUp);
      monitor.disarm({.slot = 1, .generation = generation});
    }
  });
}

TEST_CASE("an urgent mark is reported as priority to those who wait for it, and data is not") {
  on_every_back_end([](FdMonitor& monitor) {
    std::uint32_t generation = 0;
    for (const Trigger trigger : {Trigger::kOneShot, Trigger::kLevel, Trigger::kEdge}) {
      const Pair pair = make_tcp_pair();
      const Key key{.slot = 0, .generation = ++generation};
      monitor.arm(pair.a.get(), key, Events::kPriority, trigger);
      monitor.want(key, Events::kPriority);
      Watcher watcher(monitor);
      CHECK(watcher.quiet());
      for (int i = 0; i < 3; ++i) {
        write_all(pair.b, "data");
        CHECK(watcher.quiet());
      }
      REQUIRE(send(pair.b.get(), "!", 1, MSG_OOB) == 1);
      CHECK(watcher.next_of(key) == Events::kPriority);
      monitor.disarm(key);
    }
  });
}

void send_descriptor(const UniqueFd& socket, int descriptor) {
  char byte = 'd';
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  REQUIRE(sendmsg(socket.get(), &message, 0) == 1);
}

TEST_CASE(
    "data behind the boundary of a passed descriptor needs no second report of an edge, and the "
    "other triggers have one") {
  on_every_back_end([](FdMonitor& monitor) {
    for (const Trigger trigger : kAllTriggers) {
      const Pair pair = make_unix_pair();
      const Key key{.slot = 0, .generation = 1 + static_cast<std::uint32_t>(trigger)};
      monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      monitor.want(key, Events::kIn);
      Watcher watcher(monitor);
      CHECK(watcher.quiet());
      write_all(pair.b, "a");
      send_descriptor(pair.b, pair.b.get());
      write_all(pair.b, "z");
      CHECK(events_of(watcher.next(), key) == Events::kIn);
      std::array<char, 16> block{};
      CHECK(read(pair.a.get(), block.data(), block.size()) == 2);  // stops behind the descriptor
      if (trigger == Trigger::kOneShot) {
        monitor.arm(pair.a.get(), key, Events::kIn, trigger);
      }
      if (trigger != Trigger::kEdge) {
        CHECK(watcher.next_of(key) == Events::kIn);
      }
      CHECK(read_all(pair.a) == "z");
      watcher.settle();
      CHECK(watcher.quiet());
      monitor.disarm(key);
    }
  });
}

}  // namespace
}  // namespace coaio::testing
