// TcpStream: one TCP connection.
//
//   absl::StatusOr<TcpStream> stream = co_await TcpStream::connect(address);
//   std::array<char, 4096> buffer;
//   IoResult read = co_await stream->read_some(buffer);        // OK and a count of 0: end of file
//   IoResult written = co_await stream->write_all({buffer.data(), read.count()});
//
// One task may read while another task writes. Two tasks that read one stream at the same time, or
// two that write it, end the program with a sentence: let one task read, and hand on what it got.
// TCP_NODELAY is set, and no SIGPIPE is raised.
//
// May complete without suspending? Yes, when the kernel has data, or room. After a bounded number
//   of such completions in a row the task continues through the loop's queue.
// Observes cancellation? Yes: kCancelled. read_some has moved nothing then; write_all may have sent
//   a part, and its count says how much.
// Resumes where? On the task's home, inside the turn that found the socket ready.
// Who must outlive whom? The buffer outlives the operation. A stream that is closed or destroyed
//   ends its operations with kCancelled, and so do operations on it that begin later. A stream may
//   be moved while operations are under way; an operation on a moved-from stream is an error that
//   is checked.
// Threads: the home thread of the context that it was made on.
// Closing: when close() or the destructor returns, the kernel has closed the connection: the peer
//   gets the end of file without another turn of the loop.
// Errors: what the kernel says, by backends/errno_status.h.

#ifndef COAIO_CORO_IO_TCP_STREAM_H_
#define COAIO_CORO_IO_TCP_STREAM_H_

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
#include "coro/io/io_result.h"
#include "coro/io/non_blocking.h"
#include "coro/io/socket_address.h"
#include "coro/io/try_operation.h"
#include "coro/task.h"
#include "runtime/context.h"
#include "runtime/watched_fd.h"

namespace coaio {

class TcpStream {
 public:
  // Connects on the context of the calling task.
  static Task<absl::StatusOr<TcpStream>> connect(SocketAddress address);

  // Takes a connected socket, and makes it non-blocking if it is not: so is then every duplicate of
  // the descriptor, in other processes too.
  TcpStream(Context& context, UniqueFd socket)
      : socket_(context, internal::make_non_blocking(std::move(socket))) {}

  class [[nodiscard]] ReadSome : public internal::TryOperation {
   public:
    ReadSome(const TcpStream& stream, std::span<char> buffer)
        : internal::TryOperation(stream.socket_, Events::kIn, &ReadSome::attempt),
          buffer_(buffer) {}
    bool await_ready() const noexcept { return buffer_.empty() && is_current(); }
    IoResult await_resume() const;

   private:
    static Outcome attempt(internal::TryOperation& operation);

    std::span<char> buffer_;
    std::size_t count_ = 0;
    int error_ = 0;
  };

  class [[nodiscard]] WriteAll : public internal::TryOperation {
   public:
    WriteAll(const TcpStream& stream, absl::string_view data)
        : internal::TryOperation(stream.socket_, Events::kOut, &WriteAll::attempt),
          rest_(data),
          size_(data.size()) {}
    bool await_ready() const noexcept { return rest_.empty() && is_current(); }
    IoResult await_resume() const;

   private:
    static Outcome attempt(internal::TryOperation& operation);

    absl::string_view rest_;
    std::size_t size_;
    int error_ = 0;
  };

  // Reads what there is, at least one byte and at most the buffer. OK and a count of 0: the peer
  // has ended its side, or the buffer is empty.
  ReadSome read_some(std::span<char> buffer) { return {*this, buffer}; }

  // Writes everything, unless it fails or is cancelled: the count says how much the kernel took.
  WriteAll write_all(absl::string_view data) { return {*this, data}; }

  // Ends our side: the peer reads the end of file after what was written. kCancelled on a closed
  // stream.
  absl::Status shutdown_write();

  void close() { socket_.close(); }

  // The other end. A stream from connect() or accept() remembers it, also when the peer has gone
  // and when the stream is closed. For a socket that was handed over, the kernel is asked, which
  // fails once the connection is gone.
  absl::StatusOr<SocketAddress> peer_address() const {
    return peer_.has_value() ? *peer_ : SocketAddress::of_peer(fd());
  }

  // This end, as the kernel says. Fails on a closed stream.
  absl::StatusOr<SocketAddress> local_address() const { return SocketAddress::of_socket(fd()); }

  // -1 when closed.
  int fd() const { return socket_.get(); }

 private:
  friend class TcpListener;

  // Takes a non-blocking socket.
  TcpStream(internal::WatchedFd socket, std::optional<SocketAddress> peer)
      : socket_(std::move(socket)), peer_(peer) {}

  static void set_no_delay(int fd);

  internal::WatchedFd socket_;
  std::optional<SocketAddress> peer_;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_TCP_STREAM_H_
