#include "examples/shm_rpc/descriptor_passing.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"

namespace shm_rpc {
namespace {

using coaio::UniqueFd;

struct alignas(cmsghdr) Control {
  std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> bytes{};
};

// Takes them all, wanted or not, so that none stays open.
std::vector<UniqueFd> descriptors_in(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    std::array<int, kMostDescriptors> numbers;
    const std::size_t size = std::min(part->cmsg_len - CMSG_LEN(0), sizeof numbers);
    std::memcpy(numbers.data(), CMSG_DATA(part), size);
    for (std::size_t i = 0; i < size / sizeof(int); ++i) {
      fds.emplace_back(numbers[i]);
    }
  }
  return fds;
}

}  // namespace

absl::Status send_descriptors(int socket, std::string_view greeting, std::span<const int> fds) {
  if (fds.empty() || fds.size() > kMostDescriptors) {
    return absl::InvalidArgumentError("one message carries 1 to 8 descriptors");
  }
  Control control;
  std::string text(greeting);
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) {
      return coaio::errno_status(errno, "offering shared memory");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<UniqueFd>> receive_descriptors(int socket, std::string_view greeting,
                                                          std::size_t count) {
  Control control;
  std::string text(greeting.size() + 1, '\0');
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t size = 0;
  while ((size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) {
      return coaio::errno_status(errno, "waiting for the offer of shared memory");
    }
  }
  std::vector<UniqueFd> fds = descriptors_in(message);
  if (size == 0) {
    return absl::UnavailableError("the other side ended before it offered shared memory");
  }
  if (std::string_view(text).substr(0, static_cast<std::size_t>(size)) != greeting ||
      fds.size() != count || (message.msg_flags & MSG_CTRUNC) != 0) {
    return absl::FailedPreconditionError(
        "the other side does not offer shared memory as this program knows it: run the same "
        "version on both sides");
  }
  return fds;
}

}  // namespace shm_rpc
