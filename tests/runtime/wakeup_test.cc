#include "runtime/wakeup.h"

#include <poll.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "doctest/doctest.h"
#include "tests/support/sanitized.h"
#include "tests/support/skipped.h"
#include "tests/support/system_calls.h"
#include "tests/support/test_timeout.h"

namespace coaio::testing {

using namespace internal;
namespace {

bool readable_now(const Wakeup& wakeup) {
  pollfd entry{.fd = wakeup.fd(), .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) == 1;
}

struct Open {
  Open() { REQUIRE(wakeup.open().ok()); }
  Wakeup wakeup;
};

TEST_CASE("a loop that has been notified does not sleep") {
  Open open;
  CHECK(!open.wakeup.notify());
  CHECK(open.wakeup.notified());
  CHECK(!open.wakeup.announce_sleep());
}

TEST_CASE("a notification of a sleeper makes its descriptor readable") {
  Open open;
  CHECK(open.wakeup.announce_sleep());
  CHECK(!readable_now(open.wakeup));
  CHECK(open.wakeup.notify());
  CHECK(readable_now(open.wakeup));
  open.wakeup.drain();
  CHECK(!readable_now(open.wakeup));
}

TEST_CASE("a second notification of a sleeper is spared, and the loop still wakes") {
  Open open;
  open.wakeup.announce_sleep();
  CHECK(open.wakeup.notify());
  CHECK(!open.wakeup.notify());
  CHECK(readable_now(open.wakeup));
  open.wakeup.accept();
  CHECK(open.wakeup.announce_sleep());
}

TEST_CASE("a loop that has slept may sleep again, and nobody writes in between") {
  Open open;
  CHECK(open.wakeup.announce_sleep());
  open.wakeup.withdraw();
  CHECK(open.wakeup.announce_sleep());
  open.wakeup.withdraw();
  CHECK(!open.wakeup.wake_sleeper());
  CHECK(!open.wakeup.notify());
  CHECK(!readable_now(open.wakeup));
}

TEST_CASE("a sleep that ends leaves the notification that ended it to accept") {
  Open open;
  open.wakeup.announce_sleep();
  CHECK(open.wakeup.notify());
  open.wakeup.withdraw();
  CHECK(open.wakeup.notified());
  CHECK(!open.wakeup.announce_sleep());
  open.wakeup.accept();
  CHECK(!open.wakeup.notified());
  CHECK(open.wakeup.announce_sleep());
}

TEST_CASE("accept withdraws the announcement, so that no thread writes any more") {
  Open open;
  open.wakeup.announce_sleep();
  open.wakeup.accept();
  CHECK(!open.wakeup.notify());
  CHECK(!readable_now(open.wakeup));
}

TEST_CASE("a notification between two sleeps ends the second one at once") {
  Open open;
  open.wakeup.announce_sleep();
  open.wakeup.accept();
  open.wakeup.notify();
  CHECK(!open.wakeup.announce_sleep());
  open.wakeup.accept();
  CHECK(open.wakeup.announce_sleep());
}

TEST_CASE("a push wakes a loop that sleeps, and leaves alone a loop that is awake") {
  Open open;
  CHECK(!open.wakeup.wake_sleeper());
  CHECK(!open.wakeup.notified());
  CHECK(open.wakeup.announce_sleep());
  CHECK(open.wakeup.wake_sleeper());
  CHECK(readable_now(open.wakeup));
  CHECK(!open.wakeup.wake_sleeper());
  open.wakeup.accept();
  CHECK(!open.wakeup.notified());
}

TEST_CASE("draining twice is harmless") {
  Open open;
  open.wakeup.drain();
  open.wakeup.drain();
  CHECK(!readable_now(open.wakeup));
}

TEST_CASE("notifying a loop that does not sleep costs no system call, and a sleeper one write") {
  if (!tracing_works()) {
    return report_skipped("a sandbox or a debugger forbids ptrace");
  }
  const auto calls = count_system_calls([](CallCounter& counter) {
    Wakeup wakeup;
    if (!wakeup.open().ok()) {
      std::abort();
    }
    counter.begin();
    wakeup.notify();
    wakeup.notify();
    wakeup.accept();
    wakeup.announce_sleep();
    wakeup.notify();
    counter.end();
  });
  CHECK(calls.at(SYS_write) == 1);
  CHECK((kSanitized || calls.size() == 1));
}

TEST_CASE("a signal handler may notify, and leaves errno alone") {
  static Wakeup* target = nullptr;
  Open open;
  target = &open.wakeup;
  std::signal(SIGUSR1, [](int) { target->notify(); });
  open.wakeup.announce_sleep();
  errno = ENOTTY;
  raise(SIGUSR1);
  CHECK(errno == ENOTTY);
  CHECK(readable_now(open.wakeup));
  std::signal(SIGUSR1, SIG_DFL);
}

// Each notification publishes a plain number, so the thread sanitizer checks the orderings too.
TEST_CASE("no notification is lost between a thread that sleeps and one that wakes it") {
  constexpr int kRounds = kSanitized ? 3000 : 30000;
  const TestTimeout patience;
  Wakeup there;
  Wakeup back;
  REQUIRE(there.open().ok());
  REQUIRE(back.open().ok());
  int message = 0;
  const auto wait_for = [](Wakeup& wakeup) {
    while (!wakeup.notified()) {
      if (wakeup.announce_sleep()) {
        pollfd entry{.fd = wakeup.fd(), .events = POLLIN, .revents = 0};
        poll(&entry, 1, -1);
        wakeup.drain();
      }
    }
    wakeup.accept();
  };
  int right = 0;
  std::thread peer([&] {
    for (int i = 1; i <= kRounds; ++i) {
      wait_for(there);
      right += message == i ? 1 : 0;
      message = -i;
      back.notify();
    }
  });
  for (int i = 1; i <= kRounds; ++i) {
    message = i;
    there.notify();
    wait_for(back);
    REQUIRE(message == -i);
  }
  peer.join();
  CHECK(right == kRounds);
}

}  // namespace
}  // namespace coaio::testing
