#include "coro/io/socket_error.h"

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"
#include "coro/io/socket_address.h"

namespace coaio {
namespace {

absl::string_view fix_of(int error) {
  switch (error) {
    case EACCES:
      return "ports below 1024 need CAP_NET_BIND_SERVICE";
    case EADDRINUSE:
      return "another program has it: choose another port, or end that program";
    case EADDRNOTAVAIL:
      return "choose an address of this machine, and one of a family that it has";
    case ECONNREFUSED:
      return "nothing listens there: start the server, or check address and port";
    default:
      return "";
  }
}

}  // namespace

absl::Status socket_error(int error, absl::string_view call, const SocketAddress& address) {
  return errno_status(error, absl::StrCat(call, " ", address.to_string()), fix_of(error));
}

}  // namespace coaio
