// refuse_system_calls: a seccomp filter over this thread, as containers install them. It stays
// until the thread ends, so use it in run_in_child().

#ifndef COAIO_TESTS_SUPPORT_SANDBOX_H_
#define COAIO_TESTS_SUPPORT_SANDBOX_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace coaio::testing {

struct Refusal {
  long number = 0;  // SYS_...
  int error = 0;    // the errno that the caller gets

  // Only calls of which this argument has this value in its lower half.
  struct Argument {
    unsigned index = 0;
    std::uint32_t value = 0;
  };
  std::optional<Argument> where = std::nullopt;
};

// Aborts if the kernel does not allow a filter: a fault that is not injected must not pass as
// handled.
void refuse_system_calls(const std::vector<Refusal>& refusals);

// io_uring_setup() fails with EINVAL if it is asked for one of these flags, as on a kernel that
// does not know them.
void refuse_ring_flags(unsigned flags);

// How often it has.
int refused_rings();

// The kernel has a sandbox to offer.
bool sandbox_works();

inline constexpr char kNoSandbox[] = "the kernel has no seccomp filter to offer";

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_SANDBOX_H_
