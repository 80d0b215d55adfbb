// The client side of the echo benchmark: drives one server on this machine and prints one JSON
// object about it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/echo/client_connection.h"
#include "bench/echo/descriptor_limit.h"
#include "bench/echo/exit.h"
#include "bench/echo/measured_window.h"
#include "bench/echo/process_clock.h"
#include "bench/echo/steady_clock.h"
#include "examples/command_line.h"

namespace coaio::bench {
namespace {

constexpr std::string_view kUsage =
    R"(usage: load_generator --connect=ADDRESS:PORT [--name=value ...]

  --connect=ADDRESS:PORT   the echo server, IPv4
  --mode=ping_pong         one connection, one request in flight (default)
         concurrent        many connections, one request in flight on each, never sleeping
         idle              many connections without any request
  --wait=block|spin        ping_pong: how the client waits for the echo (default block)
  --connections=N          concurrent, idle: how many (default 64)
  --size=BYTES             of a message, 8 to 65536 (default 64)
  --think=MICROSECONDS     between an echo and the next request, spent spinning (default 0);
                           latency counts from the end of this time, also if the request is late
  --warm_up=SECONDS        before the measurement (default 0.1)
  --duration=SECONDS       of the measurement (default 1)
  --server_pid=PID         also measure the CPU time of this process
)";

struct Options {
  sockaddr_in server{};
  std::string mode;
  bool spin = false;
  std::uint32_t connections = 0;
  // A message above the socket buffers would let a blocking client and a server that sends before
  // it receives wait for each other.
  std::size_t size = 0;
  std::int64_t think_ns = 0;
  double warm_up = 0;
  double duration = 0;
  pid_t server_pid = 0;
};

sockaddr_in parse_address(const examples::CommandLine& arguments, const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const std::size_t colon = text.rfind(':');
  const int port = colon == std::string::npos ? 0 : std::atoi(text.c_str() + colon + 1);
  if (port <= 0 || port > 65535 ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    arguments.reject("--connect wants ADDRESS:PORT, not '" + text + "'");
  }
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

Options parse_options(int argc, char** argv) {
  examples::CommandLine arguments(argc, argv, kUsage);
  Options options;
  options.server = parse_address(arguments, arguments.text("connect", ""));
  options.mode = arguments.choice("mode", {"ping_pong", "concurrent", "idle"});
  options.spin = arguments.choice("wait", {"block", "spin"}) == "spin";
  options.connections =
      static_cast<std::uint32_t>(arguments.integer("connections", 64, 1, 1'000'000));
  options.size = static_cast<std::size_t>(arguments.integer("size", 64, kSmallestMessage, 65536));
  options.think_ns = arguments.integer("think", 0, 0, 1'000'000) * 1000;
  options.warm_up = arguments.seconds("warm_up", 0.1, 3600);
  options.duration = arguments.seconds("duration", 1, 3600);
  options.server_pid = static_cast<pid_t>(arguments.integer("server_pid", 0, 0, INT32_MAX));
  arguments.finish();
  if (options.mode == "idle" && options.server_pid == 0) {
    arguments.reject("--mode=idle measures the CPU time of --server_pid, which is missing");
  }
  return options;
}

using Connections = std::vector<std::unique_ptr<ClientConnection>>;

Connections open_connections(const Options& options) {
  constexpr std::uint64_t kOtherDescriptors = 16;
  const std::uint64_t limit = raise_descriptor_limit();
  if (options.connections + kOtherDescriptors > limit) {
    exit_with(kExitUnavailable,
              std::to_string(options.connections) +
                  " connections need more file descriptors than the hard limit of " +
                  std::to_string(limit) + " (RLIMIT_NOFILE) allows");
  }
  Connections connections;
  for (std::uint32_t i = 0; i < options.connections; ++i) {
    connections.push_back(std::make_unique<ClientConnection>(options.server, i, options.size));
  }
  return connections;
}

void spin_until(std::int64_t time_ns) {
  while (steady_now_ns() < time_ns) {
  }
}

void run_ping_pong(const Options& options) {
  ClientConnection connection(options.server, 0, options.size);
  MeasuredWindow window(options.warm_up, options.duration, options.server_pid);
  do {
    if (options.think_ns != 0 && connection.finished_ns() != 0) {
      const std::int64_t due_ns = connection.finished_ns() + options.think_ns;
      spin_until(due_ns);
      connection.start_request(due_ns);
    } else {
      connection.start_request();
    }
    if (options.spin) {
      while (!connection.exchange()) {
      }
    } else {
      connection.exchange_blocking();
    }
  } while (window.add(connection.finished_ns(), connection.latency_ns()));
  window.print_json();
}

int watch_edges(const Connections& connections) {
  const int epoll_fd = check_call(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (const auto& connection : connections) {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = connection.get()}};
    check_call(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd(), &event), "epoll_ctl");
  }
  return epoll_fd;
}

void run_concurrent(const Options& options) {
  const Connections connections = open_connections(options);
  const int epoll_fd = watch_edges(connections);
  // Every connection thinks equally long, so connections that think stand in the order in which
  // they are due.
  std::deque<ClientConnection*> thinking;
  const auto due_ns = [&](const ClientConnection& connection) {
    return connection.finished_ns() + options.think_ns;
  };
  MeasuredWindow window(options.warm_up, options.duration, options.server_pid);
  for (const auto& connection : connections) {
    connection->start_request();
  }
  std::vector<epoll_event> events(256);
  for (;;) {
    while (!thinking.empty() && steady_now_ns() >= due_ns(*thinking.front())) {
      thinking.front()->start_request(due_ns(*thinking.front()));
      thinking.pop_front();
    }
    const int n = epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), 0);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    check_call(n, "epoll_wait");
    for (int i = 0; i < n; ++i) {
      auto& connection = *static_cast<ClientConnection*>(events[i].data.ptr);
      if (connection.idle() || !connection.exchange()) {
        continue;
      }
      if (!window.add(connection.finished_ns(), connection.latency_ns())) {
        return window.print_json();
      }
      if (options.think_ns == 0) {
        connection.start_request();
      } else {
        thinking.push_back(&connection);
      }
    }
  }
}

void run_idle(const Options& options) {
  const Connections connections = open_connections(options);
  // Connections are accepted in order: one echo on the last proves that the server holds them all.
  connections.back()->start_request();
  connections.back()->exchange_blocking();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.warm_up));
  const ProcessClock server_clock(options.server_pid);
  const std::int64_t begin_ns = steady_now_ns();
  const std::int64_t begin_cpu_ns = server_clock.now_ns();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.duration));
  const std::int64_t cpu_ns = server_clock.now_ns() - begin_cpu_ns;
  const std::int64_t elapsed_ns = steady_now_ns() - begin_ns;
  for (const auto& connection : connections) {
    connection->expect_silence();
  }
  std::printf("{\"connections\": %u, \"seconds\": %.9f, \"server_cpu_seconds\": %.9f}\n",
              options.connections, elapsed_ns * 1e-9, cpu_ns * 1e-9);
}

void run(const Options& options) {
  // A server that never answers would otherwise be waited for without end.
  alarm(static_cast<unsigned>(options.warm_up + options.duration) + 60);
  if (options.mode == "ping_pong") {
    return run_ping_pong(options);
  }
  if (options.mode == "concurrent") {
    return run_concurrent(options);
  }
  run_idle(options);
}

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  coaio::bench::run(coaio::bench::parse_options(argc, argv));
  return 0;
}
