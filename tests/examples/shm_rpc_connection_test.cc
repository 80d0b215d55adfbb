// Two processes: how they meet, and how one of them survives the other.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/unique_fd.h"
#include "coro/run.h"
#include "coro/task.h"
#include "coro/task_group.h"
#include "coro/this_task.h"
#include "coro/yield.h"
#include "doctest/doctest.h"
#include "examples/shm_rpc/connection.h"
#include "examples/shm_rpc/conversation.h"
#include "examples/shm_rpc/descriptor_passing.h"
#include "runtime/context.h"
#include "runtime/polling/poll_policy.h"
#include "tests/support/contexts.h"
#include "tests/support/descriptors.h"
#include "tests/support/test_timeout.h"

namespace shm_rpc {
namespace {

using coaio::Context;
using coaio::ContextOptions;
using coaio::PollFixed;
using coaio::PollOff;
using coaio::PollPolicy;
using coaio::Task;
using coaio::TaskGroup;
using coaio::UniqueFd;
using namespace coaio::testing;
using namespace std::chrono_literals;

struct Ends {
  UniqueFd offerer;
  UniqueFd acceptor;
};

Ends make_ends() {
  std::array<int, 2> fds;
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {.offerer = UniqueFd(fds[0]), .acceptor = UniqueFd(fds[1])};
}

struct Peers {
  Connection offerer;
  Connection acceptor;
};

Peers make_peers() {
  Ends ends = make_ends();
  absl::StatusOr<Connection> offerer = Connection::offer(std::move(ends.offerer));
  REQUIRE(offerer.ok());
  absl::StatusOr<Connection> acceptor = Connection::accept(std::move(ends.acceptor));
  REQUIRE_MESSAGE(acceptor.ok(), acceptor.status().ToString());
  return {.offerer = *std::move(offerer), .acceptor = *std::move(acceptor)};
}

// On every back end, while the loop polls and while it sleeps at once.
void on_contexts(const std::function<void(Context&)>& clause) {
  for (const PollPolicy& policy : {PollPolicy(PollOff{}), PollPolicy(PollFixed{100us})}) {
    on_every_context(clause, {.polling = policy});
  }
}

Task<absl::Status> echo(Connection& peer) {
  for (;;) {
    const absl::StatusOr<std::string_view> message = co_await peer.inbox().receive();
    if (!message.ok()) {
      co_return message.status();
    }
    const std::string copy(*message);
    if (absl::Status status = co_await peer.outbox().send(copy); !status.ok()) {
      co_return status;
    }
  }
}

Task<absl::Status> ask(Connection& peer, int times) {
  for (int i = 0; i < times; ++i) {
    const std::string text = std::to_string(i);
    if (absl::Status status = co_await peer.outbox().send(text); !status.ok()) {
      co_return status;
    }
    const absl::StatusOr<std::string_view> answer = co_await peer.inbox().receive();
    if (!answer.ok() || *answer != text) {
      co_return answer.ok() ? absl::DataLossError("a wrong answer") : answer.status();
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> fill(Connection& peer) {
  const std::string text(kLargestMessage, 'x');
  for (;;) {
    if (absl::Status status = co_await peer.outbox().send(text); !status.ok()) {
      co_return status;
    }
  }
}

// A process that does this and ends; killed when the object ends.
class Process {
 public:
  explicit Process(const std::function<void()>& work) : id_(fork()) {
    if (id_ == 0) {
      work();
      _exit(0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { end(); }

  void end() {
    if (id_ > 0) {
      kill(id_, SIGKILL);
      waitpid(std::exchange(id_, -1), nullptr, 0);
    }
  }

 private:
  pid_t id_;
};

// --- conversation -------------------------------------------------------------------------------

TEST_CASE("two contexts on two threads talk, sleeping and polling") {
  on_contexts([](Context& context) {
    Peers peers = make_peers();
    ContextOptions options{.backend = *coaio::parse_backend(context.backend())};
    std::thread server([&] {
      const std::unique_ptr<Context> theirs = make_context(options);
      CHECK(absl::IsUnavailable(coaio::run(*theirs, converse(peers.offerer, echo(peers.offerer)))));
    });
    CHECK(coaio::run(context, converse(peers.acceptor, ask(peers.acceptor, 500))).ok());
    shutdown(peers.acceptor.socket(), SHUT_RDWR);
    server.join();
  });
}

TEST_CASE("a writer waits while the ring is full, and loses nothing") {
  on_contexts([](Context& context) {
    constexpr int kMessages = 300;
    static const std::string text(3000, 'x');  // 21 of them fill the ring
    Peers peers = make_peers();
    std::thread reader([&] {
      const std::unique_ptr<Context> theirs = make_context();
      const auto read = [](Connection& peer) -> Task<absl::Status> {
        for (int i = 0; i < kMessages; ++i) {
          const absl::StatusOr<std::string_view> message = co_await peer.inbox().receive();
          if (!message.ok() || *message != text) {
            co_return absl::DataLossError("a message is wrong");
          }
        }
        co_return absl::OkStatus();
      };
      CHECK(coaio::run(*theirs, converse(peers.offerer, read(peers.offerer))).ok());
    });
    const auto write = [](Connection& peer) -> Task<absl::Status> {
      for (int i = 0; i < kMessages; ++i) {
        if (absl::Status status = co_await peer.outbox().send(text); !status.ok()) {
          co_return status;
        }
      }
      co_return absl::OkStatus();
    };
    CHECK(coaio::run(context, converse(peers.acceptor, write(peers.acceptor))).ok());
    reader.join();
  });
}

TEST_CASE("a wait for a message, and one for room, can be cancelled") {
  on_contexts([](Context& context) {
    Peers peers = make_peers();
    const auto cancel = [&](Connection& peer) -> Task<absl::Status> {
      TaskGroup group(co_await coaio::this_task());
      group.spawn(echo(peer));
      group.spawn(fill(peer));
      for (int i = 0; i < 10; ++i) {
        co_await coaio::yield();
      }
      CHECK(group.size() == 2);
      group.cancel();
      co_return co_await group.join();
    };
    CHECK(coaio::run(context, converse(peers.acceptor, cancel(peers.acceptor))).ok());
  });
}

// --- a peer that dies ---------------------------------------------------------------------------

TEST_CASE("a peer that is killed ends the conversation, whatever it was doing") {
  on_contexts([](Context& context) {
    Ends ends = make_ends();
    Process peer([&] {
      ends.acceptor.reset();
      const std::unique_ptr<Context> own = make_context();
      absl::StatusOr<Connection> connection = Connection::offer(std::move(ends.offerer));
      (void)coaio::run(*own, converse(*connection, echo(*connection)));
    });
    ends.offerer.reset();
    absl::StatusOr<Connection> connection = Connection::accept(std::move(ends.acceptor));
    REQUIRE(connection.ok());
    const auto outlive = [](Connection& c, Process& p) -> Task<absl::Status> {
      if (absl::Status status = co_await ask(c, 10); !status.ok()) {
        co_return status;
      }
      p.end();
      co_return (co_await c.inbox().receive()).status();
    };
    CHECK(absl::IsUnavailable(
        coaio::run(context, converse(*connection, outlive(*connection, peer)))));
  });
}

TEST_CASE("a peer that is killed while we wait for room ends the wait") {
  on_contexts([](Context& context) {
    Ends ends = make_ends();
    Process peer([&] {
      ends.acceptor.reset();
      absl::StatusOr<Connection> connection = Connection::offer(std::move(ends.offerer));
      for (;;) {
        pause();
      }
    });
    ends.offerer.reset();
    absl::StatusOr<Connection> connection = Connection::accept(std::move(ends.acceptor));
    REQUIRE(connection.ok());
    const auto outlive = [](Connection& c, Process& p) -> Task<absl::Status> {
      TaskGroup group(co_await coaio::this_task());
      group.spawn(fill(c));
      for (int i = 0; i < 10; ++i) {
        co_await coaio::yield();
      }
      CHECK(group.size() == 1);
      p.end();
      co_return co_await group.join();
    };
    CHECK(absl::IsUnavailable(
        coaio::run(context, converse(*connection, outlive(*connection, peer)))));
  });
}

// Receives until that fails.
Task<absl::Status> collect(Connection& peer, std::vector<std::string>& messages) {
  for (;;) {
    const absl::StatusOr<std::string_view> message = co_await peer.inbox().receive();
    if (!message.ok()) {
      co_return message.status();
    }
    messages.emplace_back(*message);
  }
}

TEST_CASE("what a peer has sent before it ended is received before its end") {
  on_contexts([](Context& context) {
    Peers peers = make_peers();
    const auto send = [](Connection& peer) -> Task<absl::Status> {
      for (const char* text : {"one", "two", "three"}) {
        if (absl::Status status = co_await peer.outbox().send(text); !status.ok()) {
          co_return status;
        }
      }
      co_return absl::OkStatus();
    };
    CHECK(coaio::run(context, converse(peers.offerer, send(peers.offerer))).ok());
    shutdown(peers.offerer.socket(), SHUT_RDWR);
    std::vector<std::string> messages;
    // The end is known before the first of them is taken.
    const auto late = [&](Connection& peer) -> Task<absl::Status> {
      absl::Status sent;
      while (sent.ok()) {
        co_await coaio::yield();
        sent = co_await peer.outbox().send("is anybody there?");
      }
      CHECK(absl::IsUnavailable(sent));
      co_return co_await collect(peer, messages);
    };
    CHECK(absl::IsUnavailable(coaio::run(context, converse(peers.acceptor, late(peers.acceptor)))));
    CHECK(messages == std::vector<std::string>{"one", "two", "three"});
  });
}

TEST_CASE("a peer that ends before it offers anything is an error") {
  Ends ends = make_ends();
  ends.offerer.reset();
  CHECK(absl::IsUnavailable(Connection::accept(std::move(ends.acceptor)).status()));
}

// --- a peer that is not to be trusted -----------------------------------------------------------

TEST_CASE("a peer that corrupts the ring ends the conversation with an error") {
  on_contexts([](Context& context) {
    Peers peers = make_peers();
    std::thread vandal([&] {
      peers.offerer.memory().to_acceptor.announcement(0).store(std::uint64_t{12345} << 32);
      // What a doorbell would do.
      shutdown(peers.offerer.socket(), SHUT_WR);
    });
    vandal.join();
    const absl::Status status = coaio::run(context, converse(peers.acceptor, echo(peers.acceptor)));
    CHECK(absl::IsDataLoss(status));
    CHECK(status.message().find("corrupted the ring") != std::string::npos);
  });
}

TEST_CASE(
    "a peer that claims to have read what was not written ends the conversation with an error") {
  on_contexts([](Context& context) {
    Peers peers = make_peers();
    peers.offerer.memory().to_offerer.read.store(std::uint64_t{1} << 40);
    const absl::Status status = coaio::run(context, converse(peers.acceptor, fill(peers.acceptor)));
    CHECK(absl::IsDataLoss(status));
    CHECK(status.message().find("corrupted the ring") != std::string::npos);
  });
}

// Offers what the acceptor must refuse.
absl::Status refusal(const std::function<void(std::vector<UniqueFd>&)>& change,
                     std::string_view greeting = "coaio shm_rpc 2") {
  Ends ends = make_ends();
  std::vector<UniqueFd> offer;
  offer.push_back(checked(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  REQUIRE(ftruncate(offer[0].get(), sizeof(SharedMemory)) == 0);
  REQUIRE(fcntl(offer[0].get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
  for (int i = 0; i < 4; ++i) {
    offer.push_back(make_eventfd(0));
  }
  change(offer);
  std::vector<int> numbers;
  for (const UniqueFd& fd : offer) {
    numbers.push_back(fd.get());
  }
  REQUIRE(send_descriptors(ends.offerer.get(), greeting, numbers).ok());
  return Connection::accept(std::move(ends.acceptor)).status();
}

TEST_CASE("memory that could be taken away, or of another size, is refused") {
  CHECK(refusal([](auto&) {}).ok());
  const auto with_memory = [](std::size_t size, int seals) {
    return refusal([=](std::vector<UniqueFd>& offer) {
      offer[0] = checked(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
      REQUIRE(ftruncate(offer[0].get(), static_cast<off_t>(size)) == 0);
      REQUIRE(fcntl(offer[0].get(), F_ADD_SEALS, seals) == 0);
    });
  };
  constexpr int kAll = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  CHECK(with_memory(sizeof(SharedMemory), kAll).ok());
  CHECK(absl::IsFailedPrecondition(with_memory(sizeof(SharedMemory) - 64, kAll)));
  CHECK(absl::IsFailedPrecondition(with_memory(sizeof(SharedMemory), F_SEAL_GROW)));
  CHECK(absl::IsFailedPrecondition(
      refusal([](std::vector<UniqueFd>& offer) { offer[0] = make_eventfd(0); })));
}

TEST_CASE("doorbells that are none, too few of them, and another greeting are refused") {
  CHECK(absl::IsFailedPrecondition(
      refusal([](std::vector<UniqueFd>& offer) { offer[2] = std::move(make_pipe().a); })));
  CHECK(
      absl::IsFailedPrecondition(refusal([](std::vector<UniqueFd>& offer) { offer.pop_back(); })));
  CHECK(absl::IsFailedPrecondition(
      refusal([](std::vector<UniqueFd>& offer) { offer.push_back(make_eventfd(0)); })));
  CHECK(absl::IsFailedPrecondition(refusal([](auto&) {}, "coaio shm_rpc 1")));
  CHECK(absl::IsFailedPrecondition(refusal([](auto&) {}, "coaio shm_rpc 20")));
}

}  // namespace
}  // namespace shm_rpc
