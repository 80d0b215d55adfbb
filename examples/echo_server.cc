// An echo server: one task per connection, and a clean end.
//
// On SIGINT or SIGTERM, or when it can accept no more, it takes no new connections, gives the open
// ones a while to end by themselves, and cancels what is left.

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
#include "examples/command_line.h"

namespace {

constexpr char kUsage[] = R"(usage: echo_server [--name=value]...

  --address=HOST     where to listen (default 127.0.0.1)
  --port=PORT        0 takes a free one (default 7777)
  --backend=NAME     auto (default), io_uring, epoll or ppoll
  --polling=POLICY   off (default), fixed:MAX or grow_shrink:MAX (microseconds),
                     learned[:WEIGHT] or learned_late[:WEIGHT]
  --grace=SECONDS    for connections to end by themselves after SIGINT or SIGTERM (default 5)
)";

struct Options {
  std::string address;
  std::uint16_t port = 0;
  std::chrono::nanoseconds grace{0};
  coaio::ContextOptions context;
};

coaio::Task<void> echo(coaio::TcpStream stream) {
  std::array<char, 4096> buffer;
  for (coaio::IoResult last; last.ok();) {
    last = co_await stream.read_some(buffer);
    if (last.count() == 0) {
      co_return;  // the end of file, an error or a cancellation: this connection closes
    }
    last = co_await stream.write_all({buffer.data(), last.count()});
  }
}

coaio::Task<absl::Status> accept_all(coaio::TcpListener& listener, coaio::TaskGroup& connections) {
  for (;;) {
    absl::StatusOr<coaio::TcpStream> stream = co_await listener.accept();
    if (!stream.ok()) {
      co_return stream.status();
    }
    connections.spawn(echo(*std::move(stream)));
  }
}

// A failure of either child of the group ends the other one; so does a signal, which is no failure.
coaio::Task<absl::Status> cancel_at_signal(coaio::Signals& signals, coaio::TaskGroup& group) {
  const absl::StatusOr<int> signal = co_await signals.next();
  if (!signal.ok()) {
    co_return signal.status();
  }
  std::printf("signal %d\n", *signal);
  group.cancel();
  co_return absl::OkStatus();
}

coaio::Task<absl::Status> serve(const Options& options) {
  const coaio::TaskEnv here = co_await coaio::this_task();
  const absl::StatusOr<coaio::SocketAddress> address =
      coaio::SocketAddress::resolve(options.address, options.port);
  if (!address.ok()) {
    co_return address.status();
  }
  absl::StatusOr<coaio::TcpListener> listener = coaio::TcpListener::listen(here.context, *address);
  if (!listener.ok()) {
    co_return listener.status();
  }
  absl::StatusOr<coaio::Signals> signals = coaio::Signals::open(here.context, {SIGINT, SIGTERM});
  if (!signals.ok()) {
    co_return signals.status();
  }
  std::printf("listening on %s (%s)\n", listener->address()->to_string().c_str(),
              std::string(here.context.backend()).c_str());

  coaio::TaskGroup connections(here);
  coaio::TaskGroup accepting(here);
  accepting.spawn(accept_all(*listener, connections));
  accepting.spawn(cancel_at_signal(*signals, accepting));
  absl::Status status = co_await accepting.join();

  listener->close();
  std::printf("closed: %zu connections are open\n", connections.size());
  connections.cancel_after(options.grace);
  status.Update(co_await connections.join());
  co_return status;
}

Options parse(int argc, char** argv) {
  coaio::examples::CommandLine arguments(argc, argv, kUsage);
  Options options;
  options.address = arguments.text("address", "127.0.0.1");
  options.port = static_cast<std::uint16_t>(arguments.integer("port", 7777, 0, 65535));
  options.grace = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(arguments.seconds("grace", 5, 3600)));
  options.context.backend = arguments.value("backend", "auto", coaio::parse_backend);
  options.context.polling = arguments.value("polling", "off", coaio::parse_poll_policy);
  options.context.sink = coaio::standard_error_sink();
  arguments.finish();
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line at once, also into a pipe
  const Options options = parse(argc, argv);
  absl::StatusOr<std::unique_ptr<coaio::Context>> context = coaio::Context::create(options.context);
  const absl::Status status =
      context.ok() ? coaio::run(**context, serve(options)) : context.status();
  if (!status.ok()) {
    std::fprintf(stderr, "echo_server: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
