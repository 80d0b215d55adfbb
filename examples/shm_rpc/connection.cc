#include "examples/shm_rpc/connection.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
#include "examples/shm_rpc/descriptor_passing.h"
#include "examples/shm_rpc/mailbox.h"
#include "examples/shm_rpc/ring.h"

namespace shm_rpc {
namespace {

using coaio::errno_status;
using coaio::UniqueFd;

constexpr std::size_t kDoorbells = 4;

// Says what follows, so that two programs of different layouts notice.
constexpr std::string_view kGreeting = "coaio shm_rpc 2";

// Without the first two, the offerer could truncate the file under the acceptor; without the third,
// take back the promise.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

absl::StatusOr<UniqueFd> make_memory() {
  UniqueFd memory(memfd_create("shm_rpc", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ftruncate(memory.get(), sizeof(SharedMemory)) != 0 ||
      fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0) {
    return errno_status(errno, "making shared memory");
  }
  return memory;
}

absl::Status check_memory(const UniqueFd& memory) {
  struct stat file = {};
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (fstat(memory.get(), &file) != 0 || seals < 0 || (seals & kSeals) != kSeals ||
      file.st_size != sizeof(SharedMemory)) {
    return absl::FailedPreconditionError(
        "the other side offers memory of another size, or that it can take away: it must be a "
        "sealed memfd");
  }
  return absl::OkStatus();
}

absl::Status check_doorbell(const UniqueFd& bell) {
  const std::string link = "/proc/self/fd/" + std::to_string(bell.get());
  std::array<char, 64> name;
  const ssize_t size = readlink(link.c_str(), name.data(), name.size());
  if (size < 0 ||
      std::string_view(name.data(), static_cast<std::size_t>(size)) != "anon_inode:[eventfd]") {
    return absl::FailedPreconditionError("the other side offers a doorbell that is no eventfd");
  }
  return absl::OkStatus();
}

// In the order in which they are passed.
std::array<UniqueFd*, kDoorbells> in_order(Doorbells& bells) {
  return {&bells.reader_at_acceptor, &bells.writer_at_offerer, &bells.reader_at_offerer,
          &bells.writer_at_acceptor};
}

}  // namespace

// --- the offerer --------------------------------------------------------------------------------

absl::StatusOr<Connection> Connection::offer(UniqueFd socket) {
  absl::StatusOr<UniqueFd> memory = make_memory();
  if (!memory.ok()) {
    return memory.status();
  }
  Doorbells bells;
  std::vector<int> descriptors = {memory->get()};
  for (UniqueFd* bell : in_order(bells)) {
    *bell = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!bell->valid()) {
      return errno_status(errno, "making a doorbell");
    }
    descriptors.push_back(bell->get());
  }
  absl::StatusOr<Mapping> mapping = map(*memory);
  if (!mapping.ok()) {
    return mapping.status();
  }
  if (absl::Status status = send_descriptors(socket.get(), kGreeting, descriptors); !status.ok()) {
    return status;
  }
  Connection self(std::move(socket), *std::move(mapping), std::move(bells));
  const Doorbells& b = self.bells_;
  self.inbox_ = std::make_unique<Inbox>(self.memory_->to_offerer, b.reader_at_offerer.get(),
                                        b.writer_at_acceptor.get());
  self.outbox_ = std::make_unique<Outbox>(self.memory_->to_acceptor, b.writer_at_offerer.get(),
                                          b.reader_at_acceptor.get());
  return self;
}

// --- the acceptor -------------------------------------------------------------------------------

absl::StatusOr<Connection> Connection::accept(UniqueFd socket) {
  absl::StatusOr<std::vector<UniqueFd>> offered =
      receive_descriptors(socket.get(), kGreeting, 1 + kDoorbells);
  if (!offered.ok()) {
    return offered.status();
  }
  if (absl::Status status = check_memory(offered->front()); !status.ok()) {
    return status;
  }
  Doorbells bells;
  std::size_t next = 1;
  for (UniqueFd* bell : in_order(bells)) {
    *bell = std::move((*offered)[next++]);
    if (absl::Status status = check_doorbell(*bell); !status.ok()) {
      return status;
    }
  }
  absl::StatusOr<Mapping> mapping = map(offered->front());
  if (!mapping.ok()) {
    return mapping.status();
  }
  Connection self(std::move(socket), *std::move(mapping), std::move(bells));
  const Doorbells& b = self.bells_;
  self.inbox_ = std::make_unique<Inbox>(self.memory_->to_acceptor, b.reader_at_acceptor.get(),
                                        b.writer_at_offerer.get());
  self.outbox_ = std::make_unique<Outbox>(self.memory_->to_offerer, b.writer_at_acceptor.get(),
                                          b.reader_at_offerer.get());
  return self;
}

// --- memory -------------------------------------------------------------------------------------

// A fresh memfd is all zeroes, which is what an empty ring is.
absl::StatusOr<Connection::Mapping> Connection::map(const UniqueFd& memory) {
  void* address =
      mmap(nullptr, sizeof(SharedMemory), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (address == MAP_FAILED) {
    return errno_status(errno, "mapping shared memory");
  }
  return Mapping(static_cast<SharedMemory*>(address));
}

void Connection::Unmap::operator()(SharedMemory* memory) const {
  munmap(memory, sizeof(SharedMemory));
}

}  // namespace shm_rpc
