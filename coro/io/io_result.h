// IoResult: how an operation that moves bytes ended, and how many bytes it moved until then.
//
//   IoResult read = co_await stream.read_some(buffer);
//   if (read.count() == 0) co_return read.status();   // end of file (OK), error, or cancellation
//
//   IoResult written = co_await stream.write_all(data);
//   if (!written.ok()) resend_from(written.count());
//
// The count is true however the operation ended: a write that was cancelled or that met an error
// says how many bytes the kernel had taken before. A result that is OK allocates nothing.
//
// Threads: a value like any other.
// Errors: those of the operation; see the header of the stream.

#ifndef COAIO_CORO_IO_IO_RESULT_H_
#define COAIO_CORO_IO_IO_RESULT_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"

namespace coaio {

class [[nodiscard]] IoResult {
 public:
  // OK, and nothing was moved.
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
