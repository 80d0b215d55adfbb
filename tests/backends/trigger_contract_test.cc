// The contract of FdMonitor: what each trigger reports, and what it keeps to itself.

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
constexpr Events kBoth = Events::kIn | Events::kOut;

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

// On io_uring the first request of such a watch ends with what was not asked for, and another one
// must be made before the wait sleeps, whatever else it has to do.
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

// --- edge ---------------------------------------------------------------------------------------

TEST_CASE("an edge-triggered watch reports what its owner wants, each time that it arrives") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    write_all(pair.b, "x");
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    Watcher watcher(monitor);
    for (int i = 0; i < 5; ++i) {
      monitor.want(kKey, Events::kIn);
      CHECK(any(watcher.next_of(kKey) & Events::kIn));
      CHECK(read_all(pair.a) == "x");
      watcher.settle();
      write_all(pair.b, "x");
    }
  });
}

TEST_CASE("what arrives between the last look and want is reported") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    Watcher watcher(monitor);
    watcher.settle();
    for (int i = 0; i < 3; ++i) {
      CHECK(read_all(pair.a).size() <= 1);
      write_all(pair.b, "x");
      monitor.want(kKey, Events::kIn);
      CHECK(any(events_of(watcher.drain(), kKey) & Events::kIn));
    }
  });
}

TEST_CASE("both directions of one descriptor may be wanted at different times") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    Watcher watcher(monitor);
    watcher.settle();
    fill(pair.a);
    monitor.want(kKey, Events::kIn);
    watcher.settle();
    monitor.want(kKey, Events::kOut);
    CHECK(watcher.quiet());
    read_all(pair.b);
    CHECK(any(events_of(watcher.drain(), kKey) & Events::kOut));
    write_all(pair.b, "x");
    CHECK(any(events_of(watcher.drain(), kKey) & Events::kIn));
    fill(pair.a);
    monitor.want(kKey, kBoth);
    watcher.settle();
    read_all(pair.b);
    CHECK(any(events_of(watcher.drain(), kKey) & Events::kOut));
  });
}

TEST_CASE("an edge-triggered watch that nobody uses falls silent") {
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kKey, kAllDirections,
                Trigger::kEdge);  // an idle socket: always "out"
    Watcher watcher(monitor);
    watcher.settle();
    CHECK(watcher.quiet());
    write_all(pair.b, "x");
    watcher.settle();
    CHECK(watcher.quiet());
    pair.b.reset();
    watcher.settle();
    CHECK(watcher.quiet());
  });
}

TEST_CASE("an edge-triggered watch that was wanted falls silent after its report") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_unix_pair();
    write_all(pair.b, "x");
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    monitor.want(kKey, kBoth);
    Watcher watcher(monitor);
    watcher.settle();
    CHECK(watcher.quiet());
  });
}

TEST_CASE("data and end of file before one wait are in one report, and end of file is not lost") {
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    Watcher watcher(monitor);
    watcher.settle();
    monitor.want(kKey, Events::kIn);
    write_all(pair.b, "x");
    REQUIRE(shutdown(pair.b.get(), SHUT_WR) == 0);
    const Events events = events_of(watcher.next(), kKey);
    CHECK(any(events & Events::kIn));
    CHECK(any(events & Events::kReadHangUp));
    watcher.settle();
    CHECK(read_all(pair.a) == "x");  // until end of file: there is no further report to wait for
    char byte = 0;
    CHECK(read(pair.a.get(), &byte, 1) == 0);
  });
}

TEST_CASE("hang-up and error of an edge-triggered watch reach whoever waits, in either direction") {
  on_every_back_end([](FdMonitor& monitor) {
    std::uint32_t generation = 0;
    for (const Events direction : {Events::kIn, Events::kOut, kBoth}) {
      Pair pair = make_tcp_pair();
      const Key key{.slot = 0, .generation = ++generation};
      monitor.arm(pair.a.get(), key, kAllDirections, Trigger::kEdge);
      Watcher watcher(monitor);
      watcher.settle();
      fill(pair.a);
      monitor.want(key, direction);
      const linger reset{.l_onoff = 1, .l_linger = 0};
      REQUIRE(setsockopt(pair.b.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
      pair.b.reset();
      Events seen = Events::kNone;
      while (!any(seen & Events::kHangUp)) {
        seen |= events_of(watcher.next(), key);
        monitor.want(key, direction);
      }
      CHECK(any(seen & Events::kError));
      monitor.disarm(key);
      CHECK(watcher.quiet());
    }
  });
}

TEST_CASE("hang-up is reported once to an edge that waits for something else") {
  on_every_back_end([](FdMonitor& monitor) {
    Pair pair = make_unix_pair();
    monitor.arm(pair.a.get(), kKey, Events::kPriority, Trigger::kEdge);
    monitor.want(kKey, Events::kPriority);
    Watcher watcher(monitor);
    CHECK(watcher.quiet());
    pair.b.reset();
    CHECK(watcher.next_of(kKey) == Events::kHangUp);
    watcher.settle();
    CHECK(watcher.quiet());
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

TEST_CASE("an urgent mark ends a wait for it among other directions") {
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_tcp_pair();
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    Watcher watcher(monitor);
    watcher.settle();
    monitor.want(kKey, Events::kIn | Events::kPriority);
    write_all(pair.b, "data");
    CHECK_FALSE(any(events_of(watcher.next(), kKey) & Events::kPriority));
    CHECK(read_all(pair.a) == "data");
    monitor.want(kKey, Events::kIn | Events::kPriority);
    REQUIRE(send(pair.b.get(), "!", 1, MSG_OOB) == 1);
    Events seen = Events::kNone;
    while (!any(seen & Events::kPriority)) {
      seen |= events_of(watcher.next(), kKey);
    }
    char mark = 0;
    CHECK(recv(pair.a.get(), &mark, 1, MSG_OOB) == 1);
    CHECK(mark == '!');
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
