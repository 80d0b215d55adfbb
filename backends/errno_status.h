// errno_status: the absl::Status of a failed system call, and the errno of such a status.
//
//   absl::Status bind_to(int fd, const sockaddr& address, socklen_t size) {
//     if (bind(fd, &address, size) != 0) {
//       return errno_status(errno, "bind 127.0.0.1:80");
//     }
//     return absl::OkStatus();
//   }
//   bool in_use = errno_of(bind_to(fd, address, size)) == EADDRINUSE;
//
// coaio has its own table from errno to code. No errno maps to kCancelled or kDeadlineExceeded: the
// two codes always mean coaio's own cancellation and deadlines. ETIMEDOUT maps to kUnavailable.
//
// Threads: any.

#ifndef COAIO_BACKENDS_ERRNO_STATUS_H_
#define COAIO_BACKENDS_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coaio {

// "what: EADDRINUSE (Address already in use)", then "; remark" if the remark is not empty. Without
// a remark, EMFILE and ENFILE get one that names the limit to raise. Allocates.
absl::Status errno_status(int error, absl::string_view what, absl::string_view remark = "");

// The errno from which errno_status() made this status, or 0.
int errno_of(const absl::Status& status);

}  // namespace coaio

#endif  // COAIO_BACKENDS_ERRNO_STATUS_H_
