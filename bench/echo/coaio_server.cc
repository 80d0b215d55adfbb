// The contender: an echo server written with coaio. What it costs beyond the raw servers is what
// coaio costs.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/echo/exit.h"
#include "bench/echo/server_setup.h"
#include "coaio.h"
#include "examples/command_line.h"

namespace coaio::bench {
namespace {

constexpr std::string_view kUsage = R"(usage: coaio_server [--name=value ...]

  --port=PORT                        on 127.0.0.1; 0 lets the kernel choose (default)
  --backend=epoll|io_uring|ppoll     how readiness is learned (default epoll)
  --polling=off                      sleep as soon as nothing is ready (default)
           =fixed:MAX_US             look for work that long before each sleep
           =grow_shrink:MAX_US       look at most that long, and less where it does not pay
           =learned[:WEIGHT]         look for what the recent waits suggest
           =learned_late[:WEIGHT]    the same, asleep at first where work comes at steady intervals
)";

Task<void> echo(TcpStream stream) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferSize);
  for (;;) {
    const IoResult got = co_await stream.read_some({buffer.get(), kBufferSize});
    if (got.count() == 0) {
      co_return;
    }
    const IoResult sent = co_await stream.write_all({buffer.get(), got.count()});
    if (!sent.ok()) {
      co_return;
    }
  }
}

Task<void> accept_all(TcpListener& listener, TaskGroup& connections) {
  for (;;) {
    absl::StatusOr<TcpStream> stream = co_await listener.accept();
    if (!stream.ok()) {
      co_return;
    }
    connections.spawn(echo(*std::move(stream)));
  }
}

Task<void> serve(int listener_fd) {
  const TaskEnv here = co_await this_task();
  TcpListener listener(here.context, UniqueFd(listener_fd));
  TaskGroup tasks(here);
  tasks.spawn(accept_all(listener, tasks));
  (co_await readable(termination_descriptor())).IgnoreError();
  tasks.cancel();
  (co_await tasks.join()).IgnoreError();
}

struct CoaioServerOptions {
  int port = 0;
  ContextOptions context;
};

CoaioServerOptions parse_options(int argc, char** argv) {
  examples::CommandLine arguments(argc, argv, kUsage);
  CoaioServerOptions options;
  options.port = static_cast<int>(arguments.integer("port", 0, 0, 65535));
  options.context.backend = arguments.value("backend", "epoll", parse_backend);
  options.context.polling = arguments.value("polling", "off", parse_poll_policy);
  arguments.finish();
  return options;
}

int serve_until_terminated(const CoaioServerOptions& options) {
  absl::StatusOr<std::unique_ptr<Context>> context = Context::create(options.context);
  if (!context.ok()) {
    exit_with(kExitUnavailable, std::string(context.status().message()));
  }
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
