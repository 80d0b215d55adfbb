#include "bench/echo/server_setup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "bench/echo/descriptor_limit.h"
#include "bench/echo/exit.h"
#include "examples/command_line.h"

namespace coaio::bench {

ServerOptions parse_server_options(int argc, char** argv, std::string_view usage) {
  examples::CommandLine arguments(argc, argv, usage);
  ServerOptions options;
  options.port = static_cast<int>(arguments.integer("port", 0, 0, 65535));
  options.spin = arguments.choice("wait", {"block", "spin"}) == "spin";
  arguments.finish();
  return options;
}

int listen_on_loopback(int port) {
  raise_descriptor_limit();
  const int listener =
      check_call(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  check_call(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
  check_call(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    exit_with(kExitFailed, "cannot listen on 127.0.0.1:" + std::to_string(port) + ": " +
                               std::strerror(errno) + "; choose another --port (0: a free one)");
  }
  check_call(listen(listener, SOMAXCONN), "listen");
  return listener;
}

void announce(int listener) {
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  check_call(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
}

int termination_descriptor() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  check_call(sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
  return check_call(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
}

void print_cpu_time() {
  rusage usage{};
  check_call(getrusage(RUSAGE_SELF, &usage), "getrusage");
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  std::printf("{\"user_seconds\": %.6f, \"system_seconds\": %.6f}\n", seconds(usage.ru_utime),
              seconds(usage.ru_stime));
}

}  // namespace coaio::bench
