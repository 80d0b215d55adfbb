// The contender: an echo server written with coaio. What it costs beyond the raw servers is what
// coaio costs.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "bench/echo/command_line.h"
#include "bench/echo/exit.h"
#include "bench/echo/server_setup.h"
#include "coaio.h"

namespace coaio::bench {
namespace {

constexpr std::string_view kUsage = R"(usage: coaio_server [--name=value ...]

  --port=PORT                        on 127.0.0.1; 0 lets the kernel choose (default)
  --backend=epoll|io_uring|ppoll     how readiness is learned (default epoll)
  --polling=off                      sleep as soon as nothing is ready (default)
           =fixed:MAX_US             look for work that long before each sleep
           =grow_shrink:MAX_US       look at most that long, and less where it does not pay
)";

Task<void> echo(TcpStream stream) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferSize);
  for (;;) {
    const absl::StatusOr<size_t> n = co_await stream.read_some({buffer.get(), kBufferSize});
    if (!n.ok() || *n == 0) co_return;
    if (!(co_await stream.write_all({buffer.get(), *n})).ok()) co_return;
  }
}

Task<void> accept_all(TcpListener& listener, TaskGroup& connections) {
  for (;;) {
    absl::StatusOr<TcpStream> stream = co_await listener.accept();
    if (!stream.ok()) co_return;
    connections.spawn(echo(*std::move(stream)));
  }
}

Task<void> serve(int listener_fd) {
  TcpListener listener = TcpListener::adopt(listener_fd);
  TaskGroup tasks;
  tasks.spawn(accept_all(listener, tasks));
  (co_await readable(termination_descriptor())).IgnoreError();
  tasks.cancel();
  co_await tasks.join();
}

struct CoaioServerOptions {
  int port = 0;
  ContextOptions context;
};

// "fixed:MAX_US" and the like.
PollPolicy parse_polling(const CommandLine& arguments, const std::string& text) {
  if (text == "off") return PollOff{};
  const size_t colon = text.find(':');
  int64_t max_us = 0;
  if (colon != std::string::npos && absl::SimpleAtoi(text.substr(colon + 1), &max_us) &&
      max_us > 0) {
    const std::chrono::microseconds max(max_us);
    if (text.starts_with("fixed:")) return PollFixed{.max = max};
    if (text.starts_with("grow_shrink:")) return PollGrowShrink{.max = max};
  }
  arguments.reject("--polling does not know '" + text + "'");
}

CoaioServerOptions parse_options(int argc, char** argv) {
  CommandLine arguments(argc, argv, kUsage);
  CoaioServerOptions options;
  options.port = static_cast<int>(arguments.integer("port", 0, 0, 65535));
  const std::string backend = arguments.choice("backend", {"epoll", "io_uring", "ppoll"});
  options.context.backend = backend == "epoll"      ? Backend::kEpoll
                            : backend == "io_uring" ? Backend::kIoUring
                                                    : Backend::kPpoll;
  options.context.polling = parse_polling(arguments, arguments.text("polling", "off"));
  arguments.finish();
  return options;
}

int serve_until_terminated(const CoaioServerOptions& options) {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options.context);
  if (!context.ok()) exit_with(kExitUnavailable, std::string(context.status().message()));
  const int listener = listen_on_loopback(options.port);
  announce(listener);
  run(**context, serve(listener));
  print_cpu_time();
  return 0;
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  return coaio::bench::serve_until_terminated(coaio::bench::parse_options(argc, argv));
}
