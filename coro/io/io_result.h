// IoResult: the result of an operation that moves bytes: a status, and the number of bytes moved.
//
//   IoResult read = co_await stream.read_some(buffer);
//   if (read.count() == 0) co_return read.status();   // end of file (OK), error, or cancellation
//
//   IoResult written = co_await stream.write_all(data);
//   if (!written.ok()) resend_from(written.count());
//
// The count is right however the operation ended: after an error or a cancellation it says how many
// bytes the kernel had taken before. An OK result allocates nothing.
//
// Threads: a value; threads that share one need a lock.
// Errors: see the header of the stream.

#ifndef COAIO_CORO_IO_IO_RESULT_H_
#define COAIO_CORO_IO_IO_RESULT_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"

namespace coaio {

class [[nodiscard]] IoResult {
 public:
  // OK, and a count of 0.
  IoResult() = default;
  explicit IoResult(std::size_t count) : count_(count) {}
  IoResult(std::size_t count, absl::Status status) : count_(count), status_(std::move(status)) {}

  bool ok() const { return status_.ok(); }
  std::size_t count() const { return count_; }
  const absl::Status& status() const& { return status_; }
  absl::Status status() && { return std::move(status_); }

 private:
  std::size_t count_ = 0;
  absl::Status status_;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_IO_RESULT_H_
