// What goes through a stream; tcp_stream_end_test.cc has how it ends.

#include "coro/io/tcp_stream.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/unique_fd.h"
#include "coro/io/io_result.h"
#include "coro/io/socket_address.h"
#include "coro/run.h"
#include "coro/sleep.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/coro/io/loopback.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

using namespace std::chrono_literals;

Task<void> settle() {
  for (int i = 0; i < 5; ++i) {
    co_await yield();
  }
}

Task<void> echo(TcpStream stream) {
  std::array<char, 4096> buffer;
  for (IoResult last; last.ok();) {
    last = co_await stream.read_some(buffer);
    if (last.count() == 0) {
      co_return;
    }
    last = co_await stream.write_all({buffer.data(), last.count()});
  }
}

Task<std::string> read_exactly(TcpStream& stream, std::size_t size) {
  std::string all;
  std::string buffer(size, '\0');
  while (all.size() < size) {
    const IoResult read = co_await stream.read_some({buffer.data(), size - all.size()});
    if (read.count() == 0) {
      FAIL_CHECK("the stream ends early");
      break;
    }
    all.append(buffer, 0, read.count());
  }
  co_return all;
}

TEST_CASE("what is written at one end is read at the other") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      StreamPair pair = co_await make_stream_pair();
      TaskGroup group(co_await this_task());
      group.spawn(echo(std::move(pair.server)));
      for (const std::string message : {"a", "two", "and a longer one"}) {
        CHECK((co_await pair.client.write_all(message)).ok());
        CHECK(co_await read_exactly(pair.client, message.size()) == message);
      }
      CHECK(pair.client.shutdown_write().ok());
      CHECK((co_await group.join()).ok());
    }());
  });
}

TEST_CASE("a read gives what there is, and at most the buffer") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      write_all(half.peer, "abcde");
      std::array<char, 3> buffer{};
      CHECK((co_await half.stream.read_some(buffer)).count() == 3);
      CHECK(absl::string_view(buffer.data(), 3) == "abc");
      CHECK((co_await half.stream.read_some(buffer)).count() == 2);
      CHECK(absl::string_view(buffer.data(), 2) == "de");
    }(context));
  });
}

TEST_CASE("a read waits for what comes later, each time") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      TaskGroup group(co_await this_task());
      std::string got;
      group.spawn([](TcpStream& stream, std::string& all) -> Task<void> {
        all = (co_await read_to_end(stream)).value_or("failed");
      }(half.stream, got));
      for (int i = 0; i < 20; ++i) {
        co_await settle();
        write_all(half.peer, "x");
      }
      half.peer.reset();
      CHECK((co_await group.join()).ok());
      CHECK(got == std::string(20, 'x'));
    }(context));
  });
}

TEST_CASE("nothing to read into, and nothing to write, is done at once") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      write_all(half.peer, "x");
      std::array<char, 100> buffer{};
      CHECK((co_await half.stream.read_some(buffer)).count() ==
            1);  // the direction is exhausted now
      CHECK((co_await half.stream.read_some({})).count() == 0);
      CHECK((co_await half.stream.write_all("")).ok());
    }(context));
  });
}

// --- what is handed over, and the address of the other end
// ---------------------------------------------

TEST_CASE("a blocking socket that is made a stream does not stop the loop") {
  on_every_context([](Context& context) {
    Pair pair = make_tcp_pair();
    REQUIRE(fcntl(pair.a.get(), F_SETFL, 0) == 0);
    run(context, [](Context& c, Pair& p) -> Task<void> {
      TcpStream stream(c, std::move(p.a));
      TaskGroup group(co_await this_task());
      std::string got;
      group.spawn([](TcpStream& s, std::string& all) -> Task<void> {
        all = co_await read_exactly(s, 1);
      }(stream, got));
      co_await settle();
      write_all(p.b, "x");
      CHECK((co_await group.join()).ok());
      CHECK(got == "x");
    }(context, pair));
  });
}

TEST_CASE("both ends know their addresses, and remember the peer's when it has gone") {
  on_every_context([](Context& context) {
    run(context, []() -> Task<void> {
      StreamPair pair = co_await make_stream_pair();
      const std::string client = pair.client.local_address()->to_string();
      const std::string server = pair.server.local_address()->to_string();
      CHECK(client != server);
      CHECK(pair.client.peer_address()->to_string() == server);
      CHECK(pair.server.peer_address()->to_string() == client);
      pair.client.close();
      CHECK((co_await read_to_end(pair.server)).value_or("failed").empty());
      CHECK(pair.server.peer_address()->to_string() == client);
      pair.server.close();
      CHECK(pair.server.peer_address()->to_string() == client);
    }());
  });
}

TEST_CASE("a socket that was handed over is asked for its peer") {
  const auto context = make_context();
  const HalfStream half = make_half_stream(*context);
  CHECK(half.stream.peer_address()->to_string() ==
        SocketAddress::of_socket(half.peer.get())->to_string());
  const TcpStream local(*context, make_unix_pair().a);
  CHECK(absl::IsInvalidArgument(local.peer_address().status()));
}

// --- size ---------------------------------------------------------------------------------------

// Not smaller than a segment of the loopback device, or the kernel waits for its own timers.
void make_buffers_small(int fd) {
  const int size = 64 << 10;
  REQUIRE(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  unsigned state = 1;
  std::generate(text.begin(), text.end(), [&] {
    state = state * 1664525 + 1013904223;
    return static_cast<char>(state >> 24);
  });
  return text;
}

Task<void> send_and_end(TcpStream& stream, const std::string& data) {
  CHECK((co_await stream.write_all(data)).ok());
  CHECK(stream.shutdown_write().ok());
}

Task<void> receive_all(TcpStream& stream, const std::string& expected) {
  const absl::StatusOr<std::string> got = co_await read_to_end(stream, 10'000);
  CHECK((got.ok() && *got == expected));
}

TEST_CASE("16 MiB go through small buffers, both ways at the same time") {
  const std::string data = pattern(16 << 20);
  on_every_context([&](Context& context) {
    run(context, [](const std::string& d) -> Task<void> {
      StreamPair pair = co_await make_stream_pair();
      make_buffers_small(pair.client.fd());
      make_buffers_small(pair.server.fd());
      TaskGroup group(co_await this_task());
      group.spawn(send_and_end(pair.client, d));
      group.spawn(send_and_end(pair.server, d));
      group.spawn(receive_all(pair.client, d));
      group.spawn(receive_all(pair.server, d));
      CHECK((co_await group.join()).ok());
    }(data));
  });
}

// --- number -------------------------------------------------------------------------------------

Task<void> accept_and_echo(TcpListener& listener, int count, TaskGroup& connections) {
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<TcpStream> stream = co_await listener.accept();
    if (!stream.ok()) {
      FAIL_CHECK(stream.status().ToString());
      co_return;
    }
    connections.spawn(echo(*std::move(stream)));
  }
}

Task<void> call(SocketAddress address, int& alive) {
  absl::StatusOr<TcpStream> stream = co_await TcpStream::connect(address);
  if (!stream.ok()) {
    FAIL_CHECK(stream.status().ToString());
    co_return;
  }
  ++alive;
  for (int i = 0; i < 3; ++i) {
    const std::string message = "message " + std::to_string(i);
    CHECK((co_await stream->write_all(message)).ok());
    CHECK(co_await read_exactly(*stream, message.size()) == message);
  }
  --alive;
}

TEST_CASE("1,000 connections are served at the same time") {
  constexpr int kConnections = 1000;
  if (!allow_descriptors(2 * kConnections + 100)) {
    return report_skipped("ulimit -Hn is too small for 1,000 connections");
  }
  on_every_context([](Context& context) {
    int alive = 0;
    run(context, [](int& live) -> Task<void> {
      TcpListener listener = listen_on_loopback((co_await this_task()).context);
      TaskGroup group(co_await this_task());
      group.spawn(accept_and_echo(listener, kConnections, group));
      for (int i = 0; i < kConnections; ++i) {
        group.spawn(call(address_of(listener), live));
      }
      CHECK((co_await group.join()).ok());
    }(alive));
    CHECK(alive == 0);
  });
}

// --- fairness -----------------------------------------------------------------------------------

// So that what a task writes in a row finds room, whether the peer reads or not.
bool give_much_room(const TcpStream& stream) {
  const int size = 16 << 20;
  return setsockopt(stream.fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0;
}

TEST_CASE("a stream that always has something keeps neither timers nor other streams waiting") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream busy = make_half_stream(c);
      HalfStream quiet = make_half_stream(c);
      TaskGroup group(co_await this_task());
      bool done = false;
      group.spawn([](HalfStream& half, const bool& enough) -> Task<void> {
        std::array<char, 1> buffer;
        while (!enough) {
          write_all(half.peer, "xx");
          CHECK((co_await half.stream.read_some(buffer)).ok());
          CHECK((co_await half.stream.read_some(buffer)).ok());
        }
      }(busy, done));
      CHECK((co_await sleep_for(1ms)).ok());
      write_all(quiet.peer, "y");
      std::array<char, 1> buffer;
      CHECK((co_await quiet.stream.read_some(buffer)).ok());
      done = true;
      CHECK((co_await group.join()).ok());
    }(context));
  });
}

TEST_CASE("a long write that finds room leaves others their turn") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      if (!give_much_room(half.stream)) {
        report_skipped("only root may give a socket a large buffer");
        co_return;
      }
      TaskGroup group(co_await this_task());
      bool done = false;
      int turns = 0;
      group.spawn([](const bool& enough, int& count) -> Task<void> {
        while (!enough) {
          ++count;
          co_await yield();
        }
      }(done, turns));
      const std::string data = pattern(4 << 20);
      CHECK((co_await half.stream.write_all(data)).ok());
      done = true;
      CHECK(turns == 3);
      CHECK((co_await group.join()).ok());
      std::string got;
      while (got.size() < data.size()) {
        got += read_all(half.peer);
      }
      CHECK((got == data));
    }(context));
  });
}

TEST_CASE("a write that has left off for others can be cancelled, and its stream closed") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      for (const bool close : {false, true}) {
        HalfStream half = make_half_stream(c);
        give_much_room(half.stream);  // or else it waits for room
        TaskGroup group(co_await this_task());
        IoResult result;
        group.spawn([](TcpStream& stream, IoResult& written) -> Task<void> {
          written = co_await stream.write_all(std::string(64 << 20, 'x'));
        }(half.stream, result));
        co_await yield();
        if (close) {
          half.stream.close();
        } else {
          group.cancel();
        }
        CHECK((co_await group.join()).ok());
        CHECK(absl::IsCancelled(result.status()));
      }
    }(context));
  });
}

TEST_CASE("a stream may be moved while it is being read") {
  on_every_context([](Context& context) {
    run(context, [](Context& c) -> Task<void> {
      HalfStream half = make_half_stream(c);
      TaskGroup group(co_await this_task());
      std::size_t got = 0;
      group.spawn([](TcpStream& stream, std::size_t& count) -> Task<void> {
        std::array<char, 10> buffer;
        count = (co_await stream.read_some(buffer)).count();
      }(half.stream, got));
      co_await settle();
      const TcpStream moved = std::move(half.stream);
      write_all(half.peer, "xyz");
      CHECK((co_await group.join()).ok());
      CHECK(got == 3);
    }(context));
  });
}

}  // namespace
}  // namespace coaio::testing
