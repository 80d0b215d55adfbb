// TcpStream: one TCP connection.
//
//   absl::StatusOr<TcpStream> stream = co_await TcpStream::connect(address);
//   std::array<char, 4096> buffer;
//   IoResult read = co_await stream->read_some(buffer);        // OK and a count of 0: end of file
//   IoResult written = co_await stream->write_all({buffer.data(), read.count()});
//
// One task may read while another task writes. Two tasks that read one stream at the same time, or
// two that write it, are a checked error: let one task read, and pass on what it got. TCP_NODELAY
// is set, and SIGPIPE is not raised.
//
// May complete without suspending? Yes: when the kernel has data, or room for it. When the coop
//   budget of the context is used up, the task continues through the run queue.
// Observes cancellation? Yes: kCancelled. read_some() has read nothing then; write_all() may have
//   sent a part, and its count says how much.
// Resumes where? On the task's home: inside the turn that found the socket ready, or through the
//   run queue after a cancellation.
// What must outlive what? The buffer outlives the operation. When a stream is closed or destroyed,
//   its operations end with kCancelled, and so do later operations on a closed stream. A stream may
//   be moved while operations are under way. An operation on a moved-from stream is a checked
//   error.
// Threads: the home thread of the stream's context.
// Closing: when close() or the destructor returns, the kernel has closed the connection. The peer
//   reads the end of file without another turn of the loop.
// Errors: the errno of the failed call, as backends/errno_status.h maps it.

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

  // Takes over a connected socket, and sets O_NONBLOCK, which is common to all duplicates of the
  // descriptor, also in other processes.
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

  // Reads the bytes that are there: at least one, and at most the size of the buffer. OK and a
  // count of 0: the peer has shut down its side, or the buffer is empty.
  ReadSome read_some(std::span<char> buffer) { return {*this, buffer}; }

  // Writes everything, unless it fails or is cancelled. The count says how many bytes the kernel
  // has taken.
  WriteAll write_all(absl::string_view data) { return {*this, data}; }

  // shutdown(2) with SHUT_WR: the peer reads everything that was written, and then the end of file.
  // kCancelled on a closed stream.
  absl::Status shutdown_write();

  void close() { socket_.close(); }

  // The address of the peer. A stream from connect() or accept() keeps it, also after the end of
  // the connection. For a socket that was taken over, getpeername(2) is called, which fails after
  // the end of the connection.
  absl::StatusOr<SocketAddress> peer_address() const {
    return peer_.has_value() ? *peer_ : SocketAddress::of_peer(fd());
  }

  // The address of this end: getsockname(2). Fails on a closed stream.
  absl::StatusOr<SocketAddress> local_address() const { return SocketAddress::of_socket(fd()); }

  // -1 when closed.
  int fd() const { return socket_.get(); }

 private:
  friend class TcpListener;

  // The socket is non-blocking.
  TcpStream(internal::WatchedFd socket, std::optional<SocketAddress> peer)
      : socket_(std::move(socket)), peer_(peer) {}

  static void set_no_delay(int fd);

  internal::WatchedFd socket_;
  std::optional<SocketAddress> peer_;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_TCP_STREAM_H_
