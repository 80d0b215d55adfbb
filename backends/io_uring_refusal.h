// io_uring_refusal: why the kernel refuses io_uring here, in words that lead to the remedy.
// Private to the back ends.

#ifndef COAIO_BACKENDS_IO_URING_REFUSAL_H_
#define COAIO_BACKENDS_IO_URING_REFUSAL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coaio::internal {

// "call: EPERM (Operation not permitted); " and the likely cause, with the value of the sysctl.
absl::Status io_uring_refusal(int error, absl::string_view call);

// What io_uring_enter() returned: OK where that only means to come back.
absl::Status io_uring_enter_status(int error);

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_REFUSAL_H_
