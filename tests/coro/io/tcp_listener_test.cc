#include "coro/io/tcp_listener.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "backends/unique_fd.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_stream.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "runtime/time/clock.h"
#include "tests/coro/io/loopback.h"
#include "tests/support/abort_message.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/sandbox.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

Task<void> accept_one(TcpListener& listener, absl::Status& result) {
  result = (co_await listener.accept()).status();
}

UniqueFd call(const TcpListener& listener) {
  UniqueFd socket = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress address = address_of(listener);
  REQUIRE(connect(socket.get(), address.data(), address.size()) == 0);
  return socket;
}

TEST_CASE("port 0 takes a free port, and the address tells which") {
  const auto context = make_context();
  const TcpListener first = listen_on_loopback(*context);
  const TcpListener second = listen_on_loopback(*context);
  CHECK(address_of(first).port() != 0);
  CHECK(address_of(first).port() != address_of(second).port());
}

TEST_CASE("a port that is taken is an error that names the address") {
  const auto context = make_context();
  const TcpListener first = listen_on_loopback(*context);
  const auto second = TcpListener::listen(*context, address_of(first));
  CHECK(absl::IsAlreadyExists(second.status()));
  CHECK(second.status().message().find(address_of(first).to_string()) != std::string::npos);
}

TEST_CASE("an address of another machine is an error") {
  const auto context = make_context();
  const auto address = SocketAddress::parse("192.0.2.1", 0);  // reserved for documentation
  REQUIRE(address.ok());
  CHECK(errno_of(TcpListener::listen(*context, *address).status()) == EADDRNOTAVAIL);
}

TEST_CASE("connections that wait already, and ones that come later, are accepted") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      const UniqueFd early[] = {call(listener), call(listener)};
      CHECK((co_await listener.accept()).ok());
      CHECK((co_await listener.accept()).ok());
      for (int i = 0; i < 3; ++i) {
        TaskGroup group(co_await this_task());
        absl::Status status = absl::UnknownError("nothing yet");
        group.spawn(accept_one(listener, status));
        co_await settle();
        CHECK(absl::IsUnknown(status));
        const UniqueFd late = call(listener);
        CHECK((co_await group.join()).ok());
        CHECK(status.ok());
      }
    }(context));
  });
}

TEST_CASE("accepting can be cancelled, before it begins and while it waits, and then goes on") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      for (const bool before : {true, false}) {
        TaskGroup group(co_await this_task());
        absl::Status status = absl::UnknownError("nothing yet");
        if (before) {
          group.cancel();
        }
        group.spawn(accept_one(listener, status));
        co_await settle();
        CHECK(absl::IsUnknown(status) == !before);
        group.cancel();
        CHECK((co_await group.join()).ok());
        CHECK(absl::IsCancelled(status));
      }
      const UniqueFd caller = call(listener);
      CHECK((co_await listener.accept()).ok());
    }(context));
  });
}

TEST_CASE("closing a listener ends accept, and frees the port") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      const SocketAddress address = address_of(listener);
      TaskGroup group(co_await this_task());
      absl::Status status = absl::UnknownError("nothing yet");
      group.spawn(accept_one(listener, status));
      co_await settle();
      listener.close();
      CHECK((co_await group.join()).ok());
      CHECK(absl::IsCancelled(status));
      CHECK(absl::IsCancelled((co_await listener.accept()).status()));
      CHECK(TcpListener::listen(c, address).ok());
    }(context));
  });
}

TEST_CASE("accepting stays fair to others while connections keep coming") {
  on_every_context([](Context& context) {
    bool posted = false;
    context.post([&] { posted = true; });
    run(context, [](Context& c, const bool& others_ran) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      while (!others_ran) {
        const UniqueFd caller = call(listener);
        CHECK((co_await listener.accept()).ok());
      }
    }(context, posted));
  });
}

// --- errors of accept ---------------------------------------------------------------------------

TEST_CASE("a connection that a firewall forbids does not end accept") {
  if (!sandbox_works()) {
    return report_skipped("the kernel has no seccomp filter to offer");
  }
  CHECK(run_in_child([]() -> std::string {
          const auto context = make_context();
          return run(*context, [](Context& c) -> Task<std::string> {
            TcpListener listener = listen_on_loopback(c);
            const UniqueFd caller = call(listener);
            refuse_system_calls({{.number = SYS_accept4, .error = EPERM}});
            TaskGroup group(co_await this_task());
            absl::Status status = absl::UnknownError("nothing yet");
            group.spawn(accept_one(listener, status));
            co_await settle();
            group.cancel();
            (co_await group.join()).IgnoreError();
            co_return std::string(absl::StatusCodeToString(status.code()));
          }(*context));
        }) == "CANCELLED");
}

// --- options, and what is handed over
// -------------------------------------------------------------

TEST_CASE("several listeners share a port if all of them say so") {
  const auto context = make_context();
  const ListenOptions shared{.reuse_port = true};
  const auto first = TcpListener::listen(*context, loopback(), shared);
  REQUIRE(first.ok());
  CHECK(TcpListener::listen(*context, address_of(*first), shared).ok());
  CHECK(absl::IsAlreadyExists(TcpListener::listen(*context, address_of(*first)).status()));
}

// Whether the port of the listener, which listens on "::", takes an IPv4 connection.
bool takes_ipv4(const TcpListener& listener) {
  const UniqueFd socket = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress address = loopback(address_of(listener).port());
  return connect(socket.get(), address.data(), address.size()) == 0;
}

TEST_CASE("a listener on :: takes IPv4 connections or leaves them, as it is told") {
  const auto context = make_context();
  const SocketAddress any = *SocketAddress::parse("::", 0);
  const auto both = TcpListener::listen(*context, any, {.v6only = false});
  if (!both.ok()) {
    return report_skipped("this machine has no IPv6");
  }
  CHECK(takes_ipv4(*both));
  const auto one = TcpListener::listen(*context, any, {.v6only = true});
  REQUIRE(one.ok());
  CHECK(!takes_ipv4(*one));
  // The other family may have the port, too.
  CHECK(TcpListener::listen(*context, *SocketAddress::parse("0.0.0.0", address_of(*one).port()))
            .ok());
  CHECK(TcpListener::listen(*context, loopback(), {.v6only = true}).ok());  // means nothing
}

TEST_CASE("a blocking socket that is made a listener does not stop the loop") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      UniqueFd socket = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      REQUIRE(listen(socket.get(), 1) == 0);
      TcpListener listener(c, std::move(socket));
      TaskGroup group(co_await this_task());
      absl::Status status = absl::UnknownError("nothing yet");
      group.spawn(accept_one(listener, status));
      co_await settle();
      group.cancel();
      CHECK((co_await group.join()).ok());
      CHECK(absl::IsCancelled(status));
    }(context));
  });
}

TEST_CASE("a descriptor that is not open is refused with its number") {
  const std::string words = abort_message([] {
    const auto context = make_context();
    const TcpListener listener(*context, UniqueFd(987));
  });
  CHECK(words.find("descriptor 987: EBADF") != std::string::npos);
}

TEST_CASE("two tasks that accept on one listener end the process with descriptor and remedy") {
  const std::string words = abort_message([] {
    run(*make_context(), []() -> Task<void> {
      TcpListener listener = listen_on_loopback((co_await this_task()).context);
      TaskGroup group(co_await this_task());
      absl::Status status;
      group.spawn(accept_one(listener, status));
      group.spawn(accept_one(listener, status));
      (co_await group.join()).IgnoreError();
    }());
  });
  CAPTURE(words);
  CHECK(words.find("(or accept) on descriptor ") != std::string::npos);
  CHECK(words.find("let one task do it") != std::string::npos);
}

// --- out of descriptors -------------------------------------------------------------------------

// The process may open none while this lives.
class NoDescriptors {
 public:
  NoDescriptors(Context& context, ManualClock& clock) {
    // A sanitizer that sees a virtual call for the first time needs some to look at the object.
    static_cast<void>(context.now());
    clock.advance(0ns);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const UniqueFd next = checked(open("/dev/null", O_RDONLY | O_CLOEXEC));
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(next.get());
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_CASE(
    "without descriptors accept lives through it, sleeping, and goes on when there are some") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, [](Context& c, ManualClock& time) -> Task<void> {
          TcpListener listener = listen_on_loopback(c);
          const UniqueFd caller = call(listener);
          TaskGroup group(co_await this_task());
          absl::Status status = absl::UnknownError("nothing yet");
          {
            const NoDescriptors none(c, time);
            group.spawn(accept_one(listener, status));
            for (int i = 0; i < 3; ++i) {
              co_await settle();
              time.advance(100ms);
            }
            co_await settle();
            CHECK(absl::IsUnknown(status));
          }
          const auto looks = c.stats().looks;
          co_await settle();
          CHECK(absl::IsUnknown(status));       // it waits for its time,
          CHECK(c.stats().looks - looks < 10);  // and does not spin
          time.advance(100ms);
          CHECK((co_await group.join()).ok());
          CHECK(status.ok());
        }(context, clock));
      },
      {.clock = &clock});
}

// One connection that is accepted, and one that meets a shortage.
Task<void> flap(Context& context, ManualClock& clock, TcpListener& listener) {
  const UniqueFd first = call(listener);
  CHECK((co_await listener.accept()).ok());
  const UniqueFd second = call(listener);
  TaskGroup group(co_await this_task());
  absl::Status status = absl::UnknownError("nothing yet");
  {
    const NoDescriptors none(context, clock);
    group.spawn(accept_one(listener, status));
    co_await settle();
  }
  clock.advance(100ms);
  CHECK((co_await group.join()).ok());
  CHECK(status.ok());
}

TEST_CASE("accept at the limit of descriptors tells the sink once for each period of shortage") {
  ManualClock clock;
  std::vector<std::string> told;
  on_every_context(
      [&](Context& context) {
        told.clear();
        run(context, [](Context& c, ManualClock& time, std::vector<std::string>& t) -> Task<void> {
          TcpListener listener = listen_on_loopback(c);
          const std::string address = address_of(listener).to_string();
          for (int i = 1; i <= 21; ++i) {
            co_await flap(c, time, listener);
            CHECK(listener.pauses() == static_cast<unsigned>(i));
          }
          REQUIRE(t.size() == 1);
          CHECK(t.front().find("accept on " + address + ": EMFILE") != std::string::npos);
          CHECK(t.front().find("ulimit -n") != std::string::npos);
          CHECK(c.messages() == 1);
          CHECK(c.last_message() == t.front());
          time.advance(10s);
          co_await flap(c, time, listener);
          CHECK(t.size() == 2);
        }(context, clock, told));
      },
      {.clock = &clock, .sink = [&](absl::string_view sentence) { told.emplace_back(sentence); }});
}

TEST_CASE("without a sink nothing is written to standard error, and the messages are kept") {
  const std::string words = abort_message([] {
    ManualClock clock;
    const auto context = make_context({.clock = &clock});
    run(*context, [](Context& c, ManualClock& time) -> Task<void> {
      TcpListener listener = listen_on_loopback(c);
      co_await flap(c, time, listener);
    }(*context, clock));
    CHECK(context->messages() == 1);
  });
  CHECK(words == "it did not abort: ");
}

TEST_CASE("a listener that is closed or cancelled while it lacks descriptors ends accept") {
  ManualClock clock;
  on_every_context(
      [&](Context& context) {
        run(context, [](Context& c, ManualClock& time) -> Task<void> {
          for (const bool close : {true, false}) {
            TcpListener listener = listen_on_loopback(c);
            const UniqueFd caller = call(listener);
            TaskGroup group(co_await this_task());
            absl::Status status = absl::UnknownError("nothing yet");
            {
              const NoDescriptors none(c, time);
              group.spawn(accept_one(listener, status));
              co_await settle();
            }
            if (close) {
              listener.close();
              time.advance(100ms);
            } else {
              group.cancel();
            }
            CHECK((co_await group.join()).ok());
            CHECK(absl::IsCancelled(status));
          }
        }(context, clock));
      },
      {.clock = &clock});
}

}  // namespace
}  // namespace coaio::testing
