#include "backends/io_uring_refusal.h"

#include <cerrno>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/errno_status.h"

namespace coaio::internal {
namespace {

constexpr char kSysctl[] = "/proc/sys/kernel/io_uring_disabled";

// The sysctl and a sandbox cause the same errno. The value of the sysctl tells which it was.
std::string cause_of_eperm() {
  std::string value = "absent";
  std::ifstream(kSysctl) >> value;
  if (value == "1") {
    return "sysctl kernel.io_uring_disabled is 1: set it to 0, or run with CAP_SYS_ADMIN or in the "
           "group of kernel.io_uring_group";
  }
  if (value == "2") {
    return "sysctl kernel.io_uring_disabled is 2: set it to 0";
  }
  return absl::StrCat("sysctl kernel.io_uring_disabled is ", value,
                      ", so the likely cause is a seccomp filter, as containers install one");
}

std::string likely_cause(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return cause_of_eperm();
    case ENOSYS:
      return "the kernel has no io_uring, or a seccomp filter hides it";
    case EOPNOTSUPP:
      return "the kernel is older than 5.17";
    case ENOMEM:
      return "memory is short, or RLIMIT_MEMLOCK (ulimit -l) is too small";
    case EMFILE:
      return "raise RLIMIT_NOFILE (ulimit -n)";
    default:
      return "";
  }
}

}  // namespace

absl::Status io_uring_refusal(int error, absl::string_view call) {
  return errno_status(error, call, likely_cause(error));
}

absl::Status io_uring_enter_status(int error) {
  switch (error) {
    case 0:
    case ETIME:
    case EINTR:
    case EAGAIN:  // memory is short for now
    case EBUSY:   // completions had overflowed, and the caller has taken them
      return absl::OkStatus();
    default:
      return io_uring_refusal(error, "io_uring_enter");
  }
}

}  // namespace coaio::internal
