// The floor for completion: an echo server on bare io_uring. One multishot accept into the ring's
// own file table; then per message one recv and one send request.

#include <liburing.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/echo/descriptor_limit.h"
#include "bench/echo/exit.h"
#include "bench/echo/server_setup.h"

namespace coaio::bench {
namespace {

constexpr std::string_view kUsage = R"(usage: raw_uring_server [--port=PORT] [--wait=block|spin]

  --port=PORT          on 127.0.0.1; 0 lets the kernel choose (default)
  --wait=block|spin    sleep in io_uring_enter (default), or watch the ring's flags in user space
)";

// A batch of this many requests goes to the kernel in one call; a larger one is split.
constexpr unsigned kSubmissionEntries = 1024;
constexpr unsigned kCompletionEntries = 16 * 1024;

std::string reason_for_refusal(int error) {
  std::string reason = "io_uring is not available: " + std::string(std::strerror(error));
  std::ifstream sysctl("/proc/sys/kernel/io_uring_disabled");
  if (int disabled = 0; error == EPERM && sysctl >> disabled) {
    reason += disabled != 0 ? ", kernel.io_uring_disabled is " + std::to_string(disabled)
                            : ", probably forbidden by a seccomp filter";
  }
  if (error == EINVAL) {
    reason += ", DEFER_TASKRUN wants Linux 6.1";
  }
  return reason;
}

class Ring {
 public:
  Ring() {
    io_uring_params params{};
    // Completions are worked off by this thread, when it enters the kernel, and not by an interrupt
    // of it; the flag tells when to enter.
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE;
    params.cq_entries = kCompletionEntries;
    if (const int result = io_uring_queue_init_params(kSubmissionEntries, &ring_, &params);
        result < 0) {
      exit_with(kExitUnavailable, reason_for_refusal(-result));
    }
    // Saves the look-up of the ring's fd in each call.
    io_uring_register_ring_fd(&ring_);
  }
  ~Ring() { io_uring_queue_exit(&ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  io_uring* get() { return &ring_; }

  io_uring_sqe* next_request() {
    io_uring_sqe* request = io_uring_get_sqe(&ring_);
    while (request == nullptr) {
      accept_result(io_uring_submit(&ring_));
      request = io_uring_get_sqe(&ring_);
    }
    return request;
  }

  void submit_and_sleep() { accept_result(io_uring_submit_and_wait(&ring_, 1)); }

  // Enters the kernel only when there is something to submit or to work off.
  void submit_and_spin() {
    if (io_uring_sq_ready(&ring_) != 0) {
      accept_result(io_uring_submit_and_get_events(&ring_));
    }
    while (io_uring_cq_ready(&ring_) == 0) {
      const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_ACQUIRE);
      if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
        accept_result(io_uring_get_events(&ring_));
      }
    }
  }

 private:
  // EBUSY and EAGAIN ask to consume completions first, which the loop does next.
  static void accept_result(int result) {
    if (result >= 0 || result == -EINTR || result == -EBUSY || result == -EAGAIN) {
      return;
    }
    exit_with(kExitFailed, std::string("io_uring_enter failed: ") + std::strerror(-result));
  }

  io_uring ring_;
};

enum class Operation : std::uint8_t { kAccept, kTerminate, kReceive, kSend, kClose };

class Server {
 public:
  explicit Server(const ServerOptions& options)
      : spin_(options.spin),
        termination_(termination_descriptor()),
        listener_(listen_on_loopback(options.port)) {
    const auto slots = static_cast<unsigned>(std::min<rlim_t>(raise_descriptor_limit(), 65536));
    if (const int result = io_uring_register_files_sparse(ring_.get(), slots); result < 0) {
      exit_with(kExitUnavailable,
                std::string("io_uring has no sparse file table: ") + std::strerror(-result));
    }
    connections_.resize(slots);
  }

  void run() {
    watch_termination();
    accept_connections();
    announce(listener_);
    while (!terminated_) {
      if (spin_) {
        ring_.submit_and_spin();
      } else {
        ring_.submit_and_sleep();
      }
      complete_all();
    }
  }

 private:
  struct Connection {
    std::unique_ptr<char[]> buffer;
    std::size_t received = 0;
    std::size_t sent = 0;
  };

  static void name(io_uring_sqe* request, Operation operation, std::uint32_t slot) {
    io_uring_sqe_set_data64(request,
                            (std::uint64_t{slot} << 8) | static_cast<std::uint64_t>(operation));
  }

  void complete_all() {
    io_uring_cqe* completion;
    unsigned head;
    unsigned n = 0;
    io_uring_for_each_cqe(ring_.get(), head, completion) {
      complete(*completion);
      ++n;
    }
    io_uring_cq_advance(ring_.get(), n);
  }

  void complete(const io_uring_cqe& completion) {
    const auto slot = static_cast<std::uint32_t>(completion.user_data >> 8);
    switch (static_cast<Operation>(completion.user_data & 0xff)) {
      case Operation::kAccept:
        return on_accept(completion);
      case Operation::kReceive:
        return on_receive(slot, completion.res);
      case Operation::kSend:
        return on_send(slot, completion.res);
      case Operation::kTerminate:
        terminated_ = true;
        return;
      case Operation::kClose:
        return;
    }
  }

  void watch_termination() {
    io_uring_sqe* request = ring_.next_request();
    io_uring_prep_poll_add(request, termination_, POLLIN);
    name(request, Operation::kTerminate, 0);
  }

  // The accepted sockets go into the ring's file table: a request then finds its file by index,
  // without counting references.
  void accept_connections() {
    io_uring_sqe* request = ring_.next_request();
    io_uring_prep_multishot_accept_direct(request, listener_, nullptr, nullptr, 0);
    name(request, Operation::kAccept, 0);
  }

  void on_accept(const io_uring_cqe& completion) {
    if (completion.res >= 0) {
      const auto slot = static_cast<std::uint32_t>(completion.res);
      connections_[slot].buffer = std::make_unique_for_overwrite<char[]>(kBufferSize);
      receive(slot);
    } else if (completion.res != -ECONNABORTED && completion.res != -EINTR) {
      exit_with(kExitFailed, std::string("accept failed: ") + std::strerror(-completion.res));
    }
    if ((completion.flags & IORING_CQE_F_MORE) == 0) {
      accept_connections();
    }
  }

  // Polls first: right after an echo the next message cannot be there, so an attempt to receive it
  // would be in vain.
  void receive(std::uint32_t slot) {
    io_uring_sqe* request = ring_.next_request();
    io_uring_prep_recv(request, static_cast<int>(slot), connections_[slot].buffer.get(),
                       kBufferSize, 0);
    request->flags |= IOSQE_FIXED_FILE;
    request->ioprio |= IORING_RECVSEND_POLL_FIRST;
    name(request, Operation::kReceive, slot);
  }

  void on_receive(std::uint32_t slot, int result) {
    if (result <= 0) {
      return close(slot);
    }
    connections_[slot].received = static_cast<std::size_t>(result);
    connections_[slot].sent = 0;
    send(slot);
  }

  // Not linked with the recv that follows it: that saves a call, but a linked request is started by
  // way of task work, and the two came out equal.
  void send(std::uint32_t slot) {
    const Connection& connection = connections_[slot];
    io_uring_sqe* request = ring_.next_request();
    io_uring_prep_send(request, static_cast<int>(slot), connection.buffer.get() + connection.sent,
                       connection.received - connection.sent, MSG_NOSIGNAL);
    request->flags |= IOSQE_FIXED_FILE;
    name(request, Operation::kSend, slot);
  }

  void on_send(std::uint32_t slot, int result) {
    if (result < 0) {
      return close(slot);
    }
    Connection& connection = connections_[slot];
    connection.sent += static_cast<std::size_t>(result);
    if (connection.sent < connection.received) {
      send(slot);
    } else {
      receive(slot);
    }
  }

  void close(std::uint32_t slot) {
    connections_[slot].buffer.reset();
    io_uring_sqe* request = ring_.next_request();
    io_uring_prep_close_direct(request, slot);
    name(request, Operation::kClose, slot);
  }

  bool spin_;
  bool terminated_ = false;
  int termination_;
  int listener_;
  Ring ring_;
  std::vector<Connection> connections_;  // by slot of the ring's file table
};

}  // namespace
}  // namespace coaio::bench

int main(int argc, char** argv) {
  coaio::bench::Server server(coaio::bench::parse_server_options(argc, argv, coaio::bench::kUsage));
  server.run();
  coaio::bench::print_cpu_time();
  return 0;
}
