#include "backends/errno_status.h"

#include <cerrno>

#include "absl/status/status.h"
#include "doctest/doctest.h"

namespace coaio {
namespace {

TEST_CASE("a status names the call, the errno and its meaning") {
  const absl::Status status = errno_status(EADDRINUSE, "bind 127.0.0.1:80");
  CHECK(status.message() == "bind 127.0.0.1:80: EADDRINUSE (Address already in use)");
  CHECK(absl::IsAlreadyExists(status));
}

TEST_CASE("a remark follows the meaning") {
  CHECK(errno_status(EPERM, "call", "ask the administrator").message() ==
        "call: EPERM (Operation not permitted); ask the administrator");
}

TEST_CASE("the errno can be asked for") {
  CHECK(errno_of(errno_status(ENOSPC, "epoll_ctl")) == ENOSPC);
  CHECK(errno_of(absl::OkStatus()) == 0);
  CHECK(errno_of(absl::InternalError("not from a system call")) == 0);
}

TEST_CASE("an errno without a name is given as a number") {
  CHECK(errno_status(4000, "call").message() == "call: errno 4000");
  CHECK(errno_of(errno_status(4000, "call")) == 4000);
}

TEST_CASE("no errno looks like coaio's own cancellation or deadline") {
  for (int error = 1; error < 200; ++error) {
    const absl::Status status = errno_status(error, "call");
    CHECK_FALSE(status.ok());
    CHECK_FALSE(absl::IsCancelled(status));
    CHECK_FALSE(absl::IsDeadlineExceeded(status));
  }
  CHECK(absl::IsUnavailable(errno_status(ETIMEDOUT, "recv")));
}

}  // namespace
}  // namespace coaio
