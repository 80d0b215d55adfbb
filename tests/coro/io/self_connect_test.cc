// connect() to a port on which no socket listens, from a socket whose ephemeral port is this port:
// the socket would connect to itself. This happens to a client that tries again and again to reach
// a local server that is down.

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/io/socket_address.h"
#include "coro/io/tcp_stream.h"
#include "coro/run.h"
#include "doctest/doctest.h"
#include "runtime/context.h"
#include "tests/support/child.h"
#include "tests/support/contexts.h"
#include "tests/support/skipped.h"

namespace coaio::testing {
namespace {

constexpr char kNotHere[] = "a network of one's own is refused here";
constexpr int kPort = 40000;

// A network in which a socket can be given one port only.
bool enter_network_of_one_port() {
  if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    return false;
  }
  const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq up{};
  std::strcpy(up.ifr_name, "lo");
  up.ifr_flags = IFF_UP;
  if (ioctl(any.get(), SIOCSIFFLAGS, &up) != 0) {
    return false;
  }
  std::ofstream range("/proc/sys/net/ipv4/ip_local_port_range");
  range << kPort << " " << kPort << std::flush;
  return range.good();
}

std::string call_the_only_port() {
  if (!enter_network_of_one_port()) {
    return kNotHere;
  }
  const std::unique_ptr<Context> context = make_context();
  const absl::StatusOr<TcpStream> stream =
      run(*context, TcpStream::connect(*SocketAddress::parse("127.0.0.1", kPort)));
  return stream.ok() ? "it has met itself" : std::string(stream.status().message());
}

TEST_CASE("a call that nobody takes does not reach the caller itself") {
  const std::string trouble = run_in_child(call_the_only_port);
  if (trouble == kNotHere) {
    return report_skipped(kNotHere);
  }
  CHECK(trouble.find("ECONNREFUSED") != std::string::npos);
}

}  // namespace
}  // namespace coaio::testing
