// The contract of FdMonitor: the events of an edge-triggered watch.

#include <linux/net_tstamp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "backends/events.h"
#include "backends/fd_monitor.h"
#include "backends/unique_fd.h"
#include "doctest/doctest.h"
#include "tests/support/back_ends.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"
#include "tests/support/watcher.h"

namespace coaio::testing {
namespace {

constexpr Key kKey{.slot = 0, .generation = 1};
constexpr Events kBoth = Events::kIn | Events::kOut;

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
                Trigger::kEdge);  // an idle socket is always ready for output
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
    CHECK(read_all(pair.a) == "x");  // until end of file, because no further report follows
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

// From now on the kernel adds a time stamp to the error queue for each sent message.
bool ask_for_times(const UniqueFd& socket) {
  const int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
  return setsockopt(socket.get(), SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) == 0;
}

bool has_error(const UniqueFd& fd) {
  pollfd entry{.fd = fd.get(), .events = 0, .revents = 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR) != 0;
}

void empty_error_queue(const UniqueFd& socket) {
  std::array<char, 512> control{};
  msghdr message{};
  do {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  } while (recvmsg(socket.get(), &message, MSG_ERRQUEUE) >= 0);
}

TEST_CASE("an error that lasts is reported once to an edge, does not spin, and hides no event") {
  const Pair trial = make_tcp_pair();
  if (!ask_for_times(trial.a)) {
    return report_skipped("sockets have no SO_TIMESTAMPING");
  }
  write_all(trial.a, "x");
  if (!has_error(trial.a)) {
    return report_skipped("the loopback device tells no times");
  }
  on_every_back_end([](FdMonitor& monitor) {
    const Pair pair = make_tcp_pair();
    REQUIRE(ask_for_times(pair.a));
    monitor.arm(pair.a.get(), kKey, kAllDirections, Trigger::kEdge);
    Watcher watcher(monitor);
    watcher.settle();
    for (int i = 0; i < 3; ++i) {
      monitor.want(kKey, Events::kIn);
      write_all(pair.a, "x");
      CHECK(any(watcher.next_of(kKey) & Events::kError));
      watcher.settle();
      for (int j = 0; j < 3; ++j) {
        monitor.want(kKey, Events::kIn);
        watcher.settle();
        CHECK(watcher.quiet());
        write_all(pair.b, "data");
        Events seen = Events::kNone;
        while (!any(seen & Events::kIn)) {
          seen |= events_of(watcher.next(), kKey);
        }
        CHECK(read_all(pair.a) == "data");
      }
      empty_error_queue(pair.a);
      CHECK(!has_error(pair.a));
      monitor.want(kKey, Events::kIn);
      watcher.settle();
      CHECK(watcher.quiet());
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

}  // namespace
}  // namespace coaio::testing
