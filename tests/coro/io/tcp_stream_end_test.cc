// How streams end: by the peer, by cancellation, by being closed; and what misuse says.

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/errno_status.h"
#include "backends/unique_fd.h"
#include "coro/io/io_result.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_listener.h"
#include "coro/io/tcp_stream.h"
#include "coro/resume_on.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/io/loopback.h"
#include "tests/support/abort_message.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"

namespace coaio::testing {
namespace {

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

Task<void> read_once(TcpStream& stream, IoResult& result) {
  std::array<char, 4096> buffer;
  result = co_await stream.read_some(buffer);
}

Task<void> write_much(TcpStream& stream, IoResult& result) {
  result = co_await stream.write_all(std::string(64 << 20, 'x'));
}

// A stream with a task that waits to read it and one that waits to write it.
struct Scene {
  explicit Scene(const TaskEnv& here) : half(make_half_stream(here.context)), group(here) {}

  HalfStream half;
  TaskGroup group;
  IoResult read{0, absl::UnknownError("nothing yet")};
  IoResult written{0, absl::UnknownError("nothing yet")};
};

// --- by the peer --------------------------------------------------------------------------------

TEST_CASE("an end of file is read after the data, and again whenever one asks") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      write_all(half.peer, "last");
      half.peer.reset();
      std::array<char, 100> buffer;
      CHECK((co_await half.stream.read_some(buffer)).count() == 4);
      for (int i = 0; i < 3; ++i) {
        CHECK((co_await half.stream.read_some(buffer)).count() == 0);
      }
    }(context));
  });
}

TEST_CASE("data and the end of file before one wait are both read") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      for (const bool exhausted_before : {false, true}) {
        HalfStream half = make_half_stream(c);
        TaskGroup group(co_await this_task());
        std::string got;
        if (exhausted_before) {  // so that the next read waits without trying
          write_all(half.peer, "-");
          std::array<char, 100> buffer;
          CHECK((co_await half.stream.read_some(buffer)).count() == 1);
        }
        group.spawn([](TcpStream& stream, std::string& all) -> Task<void> {
          all = (co_await read_to_end(stream)).value_or("failed");
        }(half.stream, got));
        co_await settle();
        write_all(half.peer, "data");
        half.peer.reset();
        CHECK((co_await group.join()).ok());
        CHECK(got == "data");
      }
    }(context));
  });
}

TEST_CASE("data, a pause, and the end of file are read as they come") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      std::array<char, 100> buffer;
      write_all(half.peer, "data");
      CHECK((co_await half.stream.read_some(buffer)).count() == 4);
      co_await settle();
      half.peer.reset();
      co_await settle();
      CHECK((co_await half.stream.read_some(buffer)).count() == 0);
    }(context));
  });
}

TEST_CASE("a read that stops at an urgent mark is followed by what lies behind it") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      TaskGroup group(co_await this_task());
      std::string got;
      group.spawn([](TcpStream& stream, std::string& all) -> Task<void> {
        std::array<char, 100> buffer;
        while (all.size() < 6) {
          all.append(buffer.data(), (co_await stream.read_some(buffer)).count());
        }
      }(half.stream, got));
      co_await settle();
      write_all(half.peer, "abc");
      CHECK(send(half.peer.get(), "!", 1, MSG_OOB) == 1);
      write_all(half.peer, "def");
      CHECK((co_await group.join()).ok());
      CHECK(got == "abcdef");
    }(context));
  });
}

TEST_CASE("one direction may end while the other goes on") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      StreamPair pair = co_await make_stream_pair();
      CHECK(pair.client.shutdown_write().ok());
      CHECK((co_await read_to_end(pair.server)).value_or("failed").empty());
      CHECK((co_await pair.server.write_all("still here")).ok());
      CHECK(pair.server.shutdown_write().ok());
      CHECK((co_await read_to_end(pair.client)).value_or("failed") == "still here");
      CHECK(errno_of((co_await pair.client.write_all("too late")).status()) ==
            EPIPE);  // and no SIGPIPE
    }());
  });
}

TEST_CASE("a reset ends a read and a write that are under way") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      scene.group.spawn(read_once(scene.half.stream, scene.read));
      scene.group.spawn(write_much(scene.half.stream, scene.written));
      co_await settle();
      close_with_reset(scene.half.peer);
      CHECK((co_await scene.group.join()).ok());
      // The kernel reports the error once; the second call sees the closed connection.
      const int error = errno_of(scene.read.status());
      CHECK((error == ECONNRESET || (scene.read.ok() && scene.read.count() == 0)));
      CHECK((errno_of(scene.written.status()) == ECONNRESET ||
             errno_of(scene.written.status()) == EPIPE));
    }());
  });
}

// --- by cancellation ----------------------------------------------------------------------------

TEST_CASE("a read and a write of a task that has been cancelled do not begin") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      write_all(scene.half.peer, "x");
      scene.group.cancel();
      scene.group.spawn(read_once(scene.half.stream, scene.read));
      scene.group.spawn(write_much(scene.half.stream, scene.written));
      CHECK((co_await scene.group.join()).ok());
      CHECK(absl::IsCancelled(scene.read.status()));
      CHECK(absl::IsCancelled(scene.written.status()));
      CHECK(read_all(scene.half.peer).empty());
    }());
  });
}

TEST_CASE("a read and a write can be cancelled, and the stream goes on") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      scene.group.spawn(read_once(scene.half.stream, scene.read));
      scene.group.spawn(write_much(scene.half.stream, scene.written));
      co_await settle();
      scene.group.cancel();
      CHECK((co_await scene.group.join()).ok());
      CHECK(absl::IsCancelled(scene.read.status()));
      CHECK(absl::IsCancelled(scene.written.status()));
      write_all(scene.half.peer, "x");
      std::array<char, 10> buffer;
      CHECK((co_await scene.half.stream.read_some(buffer)).count() == 1);
    }());
  });
}

TEST_CASE("of data and a cancellation in the same turn one wins, and no byte is lost") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      scene.group.spawn(read_once(scene.half.stream, scene.read));
      co_await settle();
      write_all(scene.half.peer, "x");
      scene.group.cancel();
      CHECK((co_await scene.group.join()).ok());
      if (!scene.read.ok()) {
        CHECK(absl::IsCancelled(scene.read.status()));
        std::array<char, 10> buffer;
        scene.read = co_await scene.half.stream.read_some(buffer);
      }
      CHECK(scene.read.count() == 1);
    }());
  });
}

TEST_CASE("an operation that nobody awaits does nothing") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      write_all(half.peer, "x");
      std::array<char, 10> buffer;
      {
        const auto never_awaited = half.stream.read_some(buffer);
      }
      CHECK((co_await half.stream.read_some(buffer)).count() == 1);
    }(context));
  });
}

// --- by being closed ----------------------------------------------------------------------------

TEST_CASE("closing a stream ends the operations that are under way") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      scene.group.spawn(read_once(scene.half.stream, scene.read));
      scene.group.spawn(write_much(scene.half.stream, scene.written));
      co_await settle();
      scene.half.stream.close();
      CHECK(scene.read.status() ==
            absl::UnknownError("nothing yet"));  // no task runs inside close()
      scene.half.stream.close();
      CHECK((co_await scene.group.join()).ok());
      CHECK(absl::IsCancelled(scene.read.status()));
      CHECK(absl::IsCancelled(scene.written.status()));
    }());
  });
}

TEST_CASE(
    "a task that is woken with another one, which closes the stream, does not touch the next "
    "file") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      const int number = scene.half.stream.fd();
      Pair next = make_unix_pair();
      UniqueFd same_number;
      // The first to wait is the first to be woken.
      scene.group.spawn([](Scene& s, int source, UniqueFd& copy) -> Task<void> {
        std::array<char, 4096> buffer;
        const int n = s.half.stream.fd();
        s.read = co_await s.half.stream.read_some(buffer);
        s.half.stream.close();
        copy = checked(fcntl(source, F_DUPFD_CLOEXEC, n));
      }(scene, next.a.get(), same_number));
      scene.group.spawn(write_much(scene.half.stream, scene.written));
      co_await settle();
      close_with_reset(scene.half.peer);
      CHECK((co_await scene.group.join()).ok());
      REQUIRE(same_number.get() == number);
      CHECK(read_all(next.b).empty());
      CHECK(!scene.written.ok());
    }());
  });
}

// Reads and writes once each, and gives both results.
Task<void> read_and_write(TcpStream& stream, IoResult& read, IoResult& written) {
  std::array<char, 10> buffer;
  read = co_await stream.read_some(buffer);
  written = co_await stream.write_all("x");
}

TEST_CASE(
    "an operation that begins on a closed stream is cancelled, and does not end the process") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      scene.half.stream.close();
      co_await read_and_write(scene.half.stream, scene.read, scene.written);
      CHECK(absl::IsCancelled(scene.read.status()));
      CHECK(absl::IsCancelled(scene.written.status()));
      const IoResult nothing = co_await scene.half.stream.write_all("");
      CHECK(absl::IsCancelled(nothing.status()));
      CHECK(absl::IsCancelled(scene.half.stream.shutdown_write()));
      CHECK(!scene.half.stream.local_address().ok());
    }());
  });
}

TEST_CASE("an operation whose stream is closed before it is awaited is cancelled") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      auto write = half.stream.write_all("x");
      auto nothing = half.stream.write_all("");
      half.stream.close();
      const IoResult written = co_await write;
      CHECK(absl::IsCancelled(written.status()));
      const IoResult none = co_await nothing;
      CHECK(absl::IsCancelled(none.status()));
      CHECK(read_all(half.peer).empty());
    }(context));
  });
}

TEST_CASE("a task that reads until it is cancelled ends when another one closes its stream") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      Scene scene(co_await this_task());
      int ended = 0;
      scene.group.spawn([](Scene& s, int& count) -> Task<void> {
        for (int i = 0; i < 3; ++i) {  // the first one waits, the others begin later
          std::array<char, 10> buffer;
          const IoResult read = co_await s.half.stream.read_some(buffer);
          count += absl::IsCancelled(read.status()) ? 1 : 0;
        }
      }(scene, ended));
      co_await settle();
      scene.half.stream.close();
      CHECK((co_await scene.group.join()).ok());
      CHECK(ended == 3);
    }());
  });
}

// --- what was moved until then -------------------------------------------------------------------

TEST_CASE("a write that is cut short says how many bytes the peer gets") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      for (const bool close : {false, true}) {
        Scene scene(co_await this_task());
        scene.group.spawn(write_much(scene.half.stream, scene.written));
        co_await settle();
        if (close) {
          scene.half.stream.shutdown_write().IgnoreError();  // what waits becomes EPIPE
        } else {
          scene.group.cancel();
        }
        CHECK((co_await scene.group.join()).ok());
        CHECK(!scene.written.ok());
        CHECK(scene.written.count() > 0);
        scene.half.stream.close();
        std::size_t got = 0;
        std::array<char, 65536> block;
        ssize_t count = 0;
        REQUIRE(fcntl(scene.half.peer.get(), F_SETFL, 0) == 0);
        while ((count = recv(scene.half.peer.get(), block.data(), block.size(), 0)) > 0) {
          got += static_cast<std::size_t>(count);
        }
        CHECK(got == scene.written.count());
      }
    }());
  });
}

// --- connecting ---------------------------------------------------------------------------------

TEST_CASE("a refused connection is an error that names the address") {
  on_every_context([](Context& context) {
    TcpListener listener = listen_on_loopback(context);
    const SocketAddress address = address_of(listener);
    listener.close();
    const absl::Status status = run(context, [](SocketAddress a) -> Task<absl::Status> {
      co_return (co_await TcpStream::connect(a)).status();
    }(address));
    CHECK(errno_of(status) == ECONNREFUSED);
    CHECK(status.message().find(address.to_string()) != std::string::npos);
  });
}

// The queue of a listener without accept() is full, so that another connection waits.
struct FullListener {
  FullListener() : socket(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    const SocketAddress any = loopback();
    REQUIRE(bind(socket.get(), any.data(), any.size()) == 0);
    REQUIRE(listen(socket.get(), 0) == 0);
    for (int i = 0; i < 3; ++i) {
      queue.push_back(checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
      const SocketAddress there = address();
      CHECK(
          ((connect(queue.back().get(), there.data(), there.size()) == 0 || errno == EINPROGRESS)));
    }
  }
  SocketAddress address() const { return *SocketAddress::of_socket(socket.get()); }

  UniqueFd socket;
  std::vector<UniqueFd> queue;
};

Task<void> connect_and_tell(SocketAddress address, absl::Status& result) {
  result = (co_await TcpStream::connect(address)).status();
}

TEST_CASE("connecting can be cancelled, before it begins and while it waits") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      const FullListener full;
      for (const bool before : {true, false}) {
        TaskGroup group(co_await this_task());
        absl::Status status = absl::UnknownError("nothing yet");
        if (before) {
          group.cancel();
        }
        group.spawn(connect_and_tell(full.address(), status));
        co_await settle();
        CHECK(absl::IsUnknown(status) == !before);
        group.cancel();
        CHECK((co_await group.join()).ok());
        CHECK(absl::IsCancelled(status));
      }
    }());
  });
}

// --- misuse -------------------------------------------------------------------------------------

Task<void> write_x(TcpStream& stream) { static_cast<void>(co_await stream.write_all("x")); }

bool dies_saying(const char* part, Task<void> (*misuse)(HalfStream&)) {
  const std::string words = abort_message([misuse] {
    run(*make_context(), [](Task<void> (*f)(HalfStream&)) -> Task<void> {
      HalfStream half = make_half_stream((co_await this_task()).context);
      co_await f(half);
    }(misuse));
  });
  CAPTURE(words);
  CHECK(words.find(part) != std::string::npos);
  return words.find(part) != std::string::npos;
}

TEST_CASE("misuse of a stream ends the process with the fix") {
  CHECK(dies_saying("two tasks read (or accept) on descriptor", [](HalfStream& half) -> Task<void> {
    TaskGroup group(co_await this_task());
    IoResult first;
    IoResult second;
    group.spawn(read_once(half.stream, first));
    group.spawn(read_once(half.stream, second));
    (co_await group.join()).IgnoreError();
  }));
  CHECK(dies_saying("moved from", [](HalfStream& half) -> Task<void> {
    const TcpStream moved = std::move(half.stream);
    co_await write_x(half.stream);
  }));
  CHECK(dies_saying("resume_on its context first", [](HalfStream& half) -> Task<void> {
    ContextThread other;
    co_await resume_on(other.context());
    co_await write_x(half.stream);
  }));
}

}  // namespace
}  // namespace coaio::testing
