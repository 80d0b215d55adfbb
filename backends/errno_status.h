// errno_status: a failed system call as an absl::Status, and back.
//
//   if (bind(fd, ...) != 0) return errno_status(errno, "bind 127.0.0.1:80");
//   if (errno_of(status) == EADDRINUSE) ...
//
// The table is coaio's own. kCancelled and kDeadlineExceeded never come from an errno, so that they
// always mean coaio's own cancellation and deadlines: a socket's ETIMEDOUT is kUnavailable.

#ifndef COAIO_BACKENDS_ERRNO_STATUS_H_
#define COAIO_BACKENDS_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coaio {

// "what: EADDRINUSE (Address already in use)", and "; remark" if there is one, with the code of the
// table. Where descriptors are exhausted, the remark is by itself the limit to raise. Allocates.
absl::Status errno_status(int error, absl::string_view what, absl::string_view remark = "");

// The errno that made this status, or 0.
int errno_of(const absl::Status& status);

}  // namespace coaio

#endif  // COAIO_BACKENDS_ERRNO_STATUS_H_
