// io_uring_refusal: why the kernel refuses io_uring, with the likely cause and the remedy. Private
// to the back ends.

#ifndef COAIO_BACKENDS_IO_URING_REFUSAL_H_
#define COAIO_BACKENDS_IO_URING_REFUSAL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coaio::internal {

// "call: EPERM (Operation not permitted); <likely cause>". For EPERM the cause names the value of
// sysctl kernel.io_uring_disabled.
absl::Status io_uring_refusal(int error, absl::string_view call);

// The status of io_uring_enter(2) with this errno. OK if the caller only has to call again.
absl::Status io_uring_enter_status(int error);

}  // namespace coaio::internal

#endif  // COAIO_BACKENDS_IO_URING_REFUSAL_H_
