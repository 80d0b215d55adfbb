// TcpStream: one TCP connection.
//
//   absl::StatusOr<TcpStream> stream = co_await TcpStream::connect(address);
//   std::array<char, 4096> buffer;
//   absl::StatusOr<std::size_t> n = co_await stream->read_some(buffer);   // 0: end of file
//   absl::Status status = co_await stream->write_all({buffer.data(), *n});
//
// One task may read while another writes; two readers at the same time are an error that is
// checked. TCP_NODELAY is set, and no SIGPIPE is raised.
//
// May complete without suspending? Yes, when the kernel has data, or room. After a bounded number
//   of such completions in a row the task continues through the loop's queue.
// Observes cancellation? Yes: kCancelled, and nothing was transferred by read_some; write_all may
//   have sent a part.
// Resumes where? On the task's home, inside the turn that found the socket ready.
// Who must outlive whom? The buffer outlives the operation. A stream that is closed or destroyed
//   ends its operations with kCancelled; it may be moved while they are under way.
// Threads: the home thread of the context that it was made on.
// Closing: when close() or the destructor returns, the kernel has closed the connection: the peer
//   gets the end of file without another turn of the loop.
// Errors: what the kernel says, by backends/errno_status.h.

#ifndef COAIO_CORO_IO_TCP_STREAM_H_
#define COAIO_CORO_IO_TCP_STREAM_H_

#include <cstddef>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/events.h"
#include "backends/unique_fd.h"
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

  // Takes a connected, non-blocking socket.
  TcpStream(Context& context, UniqueFd socket) : socket_(context, std::move(socket)) {}

  class [[nodiscard]] ReadSome : public TryOperation {
   public:
    ReadSome(const TcpStream& stream, std::span<char> buffer)
        : TryOperation(stream.socket_, Events::kIn, &ReadSome::attempt), buffer_(buffer) {}
    bool await_ready() const noexcept { return buffer_.empty(); }
    absl::StatusOr<std::size_t> await_resume() const;

   private:
    static Outcome attempt(TryOperation& operation);

    std::span<char> buffer_;
    std::size_t count_ = 0;
    int error_ = 0;
  };

  class [[nodiscard]] WriteAll : public TryOperation {
   public:
    WriteAll(const TcpStream& stream, absl::string_view data)
        : TryOperation(stream.socket_, Events::kOut, &WriteAll::attempt), rest_(data) {}
    bool await_ready() const noexcept { return rest_.empty(); }
    absl::Status await_resume() const;

   private:
    static Outcome attempt(TryOperation& operation);

    absl::string_view rest_;
    int error_ = 0;
  };

  // Reads what there is, at least one byte and at most the buffer. 0: the peer has ended its side,
  // or the buffer is empty.
  ReadSome read_some(std::span<char> buffer) { return {*this, buffer}; }

  // Writes everything.
  WriteAll write_all(absl::string_view data) { return {*this, data}; }

  // Ends our side: the peer reads the end of file after what was written.
  absl::Status shut_down_writing();

  void close() { socket_.close(); }

  int fd() const { return socket_.get(); }

 private:
  friend class TcpListener;

  static void set_no_delay(int fd);

  WatchedFd socket_;
};

}  // namespace coaio

#endif  // COAIO_CORO_IO_TCP_STREAM_H_
