// Passing open descriptors to another process, over a Unix socket.
//
// Threads: any; both calls block.
// Errors: errno, or FailedPrecondition for what does not come as agreed; what came is closed then.

#ifndef COAIO_EXAMPLES_SHM_RPC_DESCRIPTOR_PASSING_H_
#define COAIO_EXAMPLES_SHM_RPC_DESCRIPTOR_PASSING_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"

namespace shm_rpc {

inline constexpr std::size_t kMostDescriptors = 8;

// With a greeting, for a message of descriptors only does not exist.
absl::Status send_descriptors(int socket, std::string_view greeting, std::span<const int> fds);

// Exactly this many, under this greeting.
absl::StatusOr<std::vector<coaio::UniqueFd>> receive_descriptors(int socket,
                                                                 std::string_view greeting,
                                                                 std::size_t count);

}  // namespace shm_rpc

#endif  // COAIO_EXAMPLES_SHM_RPC_DESCRIPTOR_PASSING_H_
