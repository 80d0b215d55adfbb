// One connection of the load generator, with at most one request in flight.
//
//   ClientConnection connection(server, number, message_size);
//   connection.start_request();
//   while (!connection.exchange()) wait_for_readiness(connection.fd());
//   latencies.record(connection.latency_ns());   // the whole echo is here, and was verified
//
// Errors: a lost connection or an echo that is not what was sent ends the program; a benchmark of a
// broken server has no result.

#ifndef COAIO_BENCH_ECHO_CLIENT_CONNECTION_H_
#define COAIO_BENCH_ECHO_CLIENT_CONNECTION_H_

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/echo/message.h"

namespace coaio::bench {

class ClientConnection {
 public:
  ClientConnection(const sockaddr_in& server, std::uint32_t number, std::size_t message_size);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  int fd() const { return fd_; }
  // No request is in flight.
  bool idle() const { return received_ == size_; }

  // Begins the next request and sends what it can without blocking. The request is due now.
  void start_request();
  // The same for a request that was due at `due_ns`, by steady_now_ns(). A client that is late adds
  // its delay to the latency: otherwise a stall of the client or of the machine would remove the
  // slowest requests from the figures.
  void start_request(std::int64_t due_ns);

  // Sends and receives what it can without blocking; true when the echo is complete and intact.
  bool exchange();
  // The same, sleeping in recv.
  void exchange_blocking();

  // The latency of the last complete exchange: from the time at which it was due to after its last
  // recv.
  std::int64_t latency_ns() const { return finished_ns_ - due_ns_; }
  std::int64_t finished_ns() const { return finished_ns_; }

  // Ends the program unless the connection is open and silent, as one without a request must be.
  void expect_silence() const;

 private:
  void stamp_request();
  void send_without_blocking();
  bool send_some(int flags);
  bool receive_some(int flags);
  void finish_request();

  int fd_;
  RequestId id_;
  std::size_t size_;
  std::size_t sent_ = size_;
  std::size_t received_ = size_;
  std::int64_t due_ns_ = 0;
  std::int64_t finished_ns_ = 0;
  // The echo overwrites its own request: what has come back can never exceed what was sent. One
  // byte more shows a surplus.
  std::vector<char> buffer_;
};

}  // namespace coaio::bench

#endif  // COAIO_BENCH_ECHO_CLIENT_CONNECTION_H_
