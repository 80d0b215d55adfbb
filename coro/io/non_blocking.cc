#include "coro/io/non_blocking.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "backends/check.h"
#include "backends/unique_fd.h"

namespace coaio::internal {

UniqueFd make_non_blocking(UniqueFd fd) {
  const int flags = fcntl(fd.get(), F_GETFL);
  const bool done = flags >= 0 && ((flags & O_NONBLOCK) != 0 ||
                                   fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) == 0);
  if (!done) {
    fail(absl::StrCat("a stream or listener is constructed from descriptor ", fd.get(), ": ",
                      strerrorname_np(errno),
                      "; check the result of the call that opened the descriptor")
             .c_str());
  }
  return fd;
}

}  // namespace coaio::internal
