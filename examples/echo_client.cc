// An echo client: as many connections as asked for, each with one message under way, and what that
// gave.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
#include "examples/command_line.h"

namespace {

using std::chrono::nanoseconds;

constexpr char kUsage[] = R"(usage: echo_client [--name=value]...

  --address=HOST        of the server (default 127.0.0.1)
  --port=PORT           of the server (default 7777)
  --connections=COUNT   (default 1)
  --size=BYTES          of a message, at most 65536 (default 64)
  --duration=SECONDS    (default 1)
  --backend=NAME        auto (default), io_uring, epoll or ppoll
  --polling=POLICY      off (default), fixed:MAX or grow_shrink:MAX (microseconds),
                        learned[:WEIGHT] or learned_late[:WEIGHT]
)";

// A message is sent whole before its echo is read. One above the socket buffers would let this
// client and a server that waits for room wait for each other for ever.
constexpr std::int64_t kLargestMessage = 65536;

struct Options {
  std::string address;
  std::uint16_t port = 0;
  std::int64_t connections = 0;
  std::size_t size = 0;
  nanoseconds duration{0};
  coaio::ContextOptions context;
};

// Reads one message, and says so if it is not the one that was sent.
coaio::Task<absl::Status> read_echo(coaio::TcpStream& stream, const std::string& sent,
                                    std::string& buffer) {
  std::size_t got = 0;
  while (got < sent.size()) {
    const coaio::IoResult read =
        co_await stream.read_some({buffer.data() + got, buffer.size() - got});
    if (read.count() == 0) {
      co_return read.ok() ? absl::UnavailableError("the server closed a connection")
                          : read.status();
    }
    got += read.count();
  }
  co_return buffer == sent ? absl::OkStatus()
                           : absl::DataLossError("an echo differs from its message");
}

coaio::Task<absl::Status> converse(const Options& options, coaio::SocketAddress address,
                                   std::vector<nanoseconds>& round_trips) {
  absl::StatusOr<coaio::TcpStream> stream = co_await coaio::TcpStream::connect(address);
  if (!stream.ok()) {
    co_return stream.status();
  }
  const std::string message(options.size, 'x');
  std::string buffer(options.size, '\0');
  const auto end = std::chrono::steady_clock::now() + options.duration;
  for (auto begin = std::chrono::steady_clock::now(); begin < end;) {
    const coaio::IoResult written = co_await stream->write_all(message);
    if (!written.ok()) {
      co_return written.status();
    }
    absl::Status echoed = co_await read_echo(*stream, message, buffer);
    if (!echoed.ok()) {
      co_return echoed;
    }
    const auto now = std::chrono::steady_clock::now();
    round_trips.push_back(now - begin);
    begin = now;
  }
  co_return absl::OkStatus();
}

coaio::Task<absl::Status> run_clients(const Options& options,
                                      std::vector<nanoseconds>& round_trips) {
  const absl::StatusOr<coaio::SocketAddress> address =
      coaio::SocketAddress::resolve(options.address, options.port);
  if (!address.ok()) {
    co_return address.status();
  }
  coaio::TaskGroup clients(co_await coaio::this_task());
  for (std::int64_t i = 0; i < options.connections; ++i) {
    clients.spawn(converse(options, *address, round_trips));
  }
  co_return co_await clients.join();
}

double microseconds_at(const std::vector<nanoseconds>& sorted, double share) {
  const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1));
  return std::chrono::duration<double, std::micro>(sorted[index]).count();
}

Options parse(int argc, char** argv) {
  coaio::examples::CommandLine arguments(argc, argv, kUsage);
  Options options;
  options.address = arguments.text("address", "127.0.0.1");
  options.port = static_cast<std::uint16_t>(arguments.integer("port", 7777, 1, 65535));
  options.connections = arguments.integer("connections", 1, 1, 100'000);
  options.size = static_cast<std::size_t>(arguments.integer("size", 64, 1, kLargestMessage));
  options.duration = std::chrono::duration_cast<nanoseconds>(
      std::chrono::duration<double>(arguments.seconds("duration", 1, 86'400)));
  options.context.backend = arguments.value("backend", "auto", coaio::parse_backend);
  options.context.polling = arguments.value("polling", "off", coaio::parse_poll_policy);
  options.context.sink = coaio::standard_error_sink();
  arguments.finish();
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::vector<nanoseconds> round_trips;
  absl::StatusOr<std::unique_ptr<coaio::Context>> context = coaio::Context::create(options.context);
  const absl::Status status =
      context.ok() ? coaio::run(**context, run_clients(options, round_trips)) : context.status();
  if (!status.ok() || round_trips.empty()) {
    std::fprintf(
        stderr, "echo_client: %s\n",
        status.ok() ? "no message was echoed in time" : std::string(status.message()).c_str());
    return 1;
  }
  std::sort(round_trips.begin(), round_trips.end());
  std::printf("%zu echoes, %.0f/s, p50 %.1f us, p99 %.1f us\n", round_trips.size(),
              static_cast<double>(round_trips.size()) /
                  std::chrono::duration<double>(options.duration).count(),
              microseconds_at(round_trips, 0.5), microseconds_at(round_trips, 0.99));
  return 0;
}
