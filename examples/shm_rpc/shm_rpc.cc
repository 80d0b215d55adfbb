// Calls between two processes through shared memory: the client asks, the server answers with the
// same text backwards.
//
// While both poll, a call makes no system call on either side, and takes well under a microsecond.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
#include "examples/command_line.h"
#include "examples/shm_rpc/connection.h"
#include "examples/shm_rpc/conversation.h"
#include "examples/shm_rpc/ring.h"

namespace {

using shm_rpc::Connection;

constexpr char kUsage[] = R"(usage: shm_rpc [--name=value]...

Starts a server process, and calls it through shared memory.

  --calls=NUMBER        100000
  --size=BYTES          64; of each request and each answer, at most 16384
  --way=NAME            one_by_one (default), or stream: as many requests ahead of the answers as
                        the rings hold
  --backend=NAME        auto (default), io_uring, epoll or ppoll
  --polling=POLICY      learned (default), off, fixed:MAX or grow_shrink:MAX (microseconds)
)";

struct Options {
  std::int64_t calls = 0;
  std::size_t size = 0;
  bool stream = false;
  coaio::ContextOptions context;
};

// --- the server ---------------------------------------------------------------------------------

coaio::Task<absl::Status> answer(Connection& client) {
  std::string reply;
  for (;;) {
    const absl::StatusOr<std::string_view> request = co_await client.inbox().receive();
    if (!request.ok()) {
      co_return request.status();
    }
    reply.assign(request->rbegin(), request->rend());
    if (absl::Status status = co_await client.outbox().send(reply); !status.ok()) {
      co_return status;
    }
  }
}

absl::Status serve(const Options& options, coaio::UniqueFd socket) {
  absl::StatusOr<Connection> client = Connection::offer(std::move(socket));
  if (!client.ok()) {
    return client.status();
  }
  absl::StatusOr<std::unique_ptr<coaio::Context>> context = coaio::Context::create(options.context);
  if (!context.ok()) {
    return context.status();
  }
  const absl::Status end = coaio::run(**context, shm_rpc::converse(*client, answer(*client)));
  return absl::IsUnavailable(end) ? absl::OkStatus() : end;  // the client is done
}

// --- the client ---------------------------------------------------------------------------------

struct Texts {
  std::string request;
  std::string answer;
};

Texts make_texts(std::size_t size) {
  std::string request(size, 'z');
  request.front() = 'a';
  return {.request = request, .answer = std::string(request.rbegin(), request.rend())};
}

coaio::Task<absl::Status> expect_answer(Connection& server, const Texts& texts) {
  const absl::StatusOr<std::string_view> answer = co_await server.inbox().receive();
  co_return !answer.ok()    ? answer.status()
  : *answer != texts.answer ? absl::DataLossError("an answer is wrong")
                            : absl::OkStatus();
}

coaio::Task<absl::Status> send_all(const Options& options, Connection& server, const Texts& texts) {
  for (std::int64_t i = 0; i < options.calls; ++i) {
    if (absl::Status status = co_await server.outbox().send(texts.request); !status.ok()) {
      co_return status;
    }
  }
  co_return absl::OkStatus();
}

// Reads while send_all() writes: if one task did both, two full rings would stop both sides.
coaio::Task<absl::Status> call(const Options& options, Connection& server) {
  const Texts texts = make_texts(options.size);
  coaio::TaskGroup sender(co_await coaio::this_task());
  if (options.stream) {
    sender.spawn(send_all(options, server, texts));
  }
  absl::Status status;
  for (std::int64_t i = 0; status.ok() && i < options.calls; ++i) {
    if (!options.stream) {
      status = co_await server.outbox().send(texts.request);
    }
    if (status.ok()) {
      status = co_await expect_answer(server, texts);
    }
  }
  sender.cancel();
  absl::Status sent = co_await sender.join();
  co_return status.ok() ? sent : status;
}

absl::Status call_all(const Options& options, coaio::UniqueFd socket) {
  absl::StatusOr<Connection> server = Connection::accept(std::move(socket));
  if (!server.ok()) {
    return server.status();
  }
  absl::StatusOr<std::unique_ptr<coaio::Context>> context = coaio::Context::create(options.context);
  if (!context.ok()) {
    return context.status();
  }
  const auto begin = std::chrono::steady_clock::now();
  absl::Status status = coaio::run(**context, shm_rpc::converse(*server, call(options, *server)));
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  if (status.ok()) {
    const auto calls = static_cast<double>(options.calls);
    std::printf("%.0f calls, %.0f/s, %.2f us each\n", calls, calls / taken.count(),
                taken.count() / calls * 1e6);
  }
  return status;
}

// --- two processes ------------------------------------------------------------------------------

Options parse(int argc, char** argv) {
  coaio::examples::CommandLine arguments(argc, argv, kUsage);
  Options options;
  options.calls = arguments.integer("calls", 100'000, 1, 1'000'000'000);
  options.size =
      static_cast<std::size_t>(arguments.integer("size", 64, 1, shm_rpc::kLargestMessage));
  options.stream = arguments.choice("way", {"one_by_one", "stream"}) == "stream";
  options.context.backend = arguments.value("backend", "auto", coaio::parse_backend);
  options.context.polling = arguments.value("polling", "learned", coaio::parse_poll_policy);
  options.context.sink = coaio::standard_error_sink();
  arguments.finish();
  return options;
}

int finish(const char* who, const absl::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "shm_rpc %s: %s\n", who, std::string(status.message()).c_str());
  }
  return status.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::array<int, 2> sockets;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return finish("client", coaio::errno_status(errno, "socketpair"));
  }
  coaio::UniqueFd mine(sockets[0]);
  coaio::UniqueFd servers(sockets[1]);
  const pid_t server = fork();
  if (server < 0) {
    return finish("client", coaio::errno_status(errno, "fork"));
  }
  if (server == 0) {
    mine.reset();
    return finish("server", serve(options, std::move(servers)));
  }
  servers.reset();
  const int result = finish("client", call_all(options, std::move(mine)));
  int ended = 0;
  const bool served = waitpid(server, &ended, 0) == server && WIFEXITED(ended);
  return served && WEXITSTATUS(ended) == 0 ? result : 1;
}
