// What every echo server does around its loop, so that the contenders differ in the loop only.

#ifndef COAIO_BENCH_ECHO_SERVER_SETUP_H_
#define COAIO_BENCH_ECHO_SERVER_SETUP_H_

#include <cstddef>
#include <string_view>

namespace coaio::bench {

// One buffer of this size per connection. Twice the largest message of the scenarios: a recv that
// fills its buffer could have left something behind and must be tried again, one that comes back
// short need not.
inline constexpr std::size_t kBufferSize = 32 * 1024;

struct ServerOptions {
  int port = 0;       // 0: the kernel chooses
  bool spin = false;  // never sleep in the kernel
};

ServerOptions parse_server_options(int argc, char** argv, std::string_view usage);

// A non-blocking listening socket on 127.0.0.1 with TCP_NODELAY, which accepted sockets inherit.
// Raises the limit on file descriptors.
int listen_on_loopback(int port);

// The line on stdout that tells the orchestrator where to connect.
void announce(int listener);

// A descriptor that becomes readable on SIGTERM, which no longer ends the process.
int termination_descriptor();

// One line of JSON on stdout: the CPU time of the whole process life, so a check on what was
// measured from outside.
void print_cpu_time();

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_SERVER_SETUP_H_
