#include "tests/support/sandbox.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace coaio::testing {
namespace {

constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);

std::uint32_t offset_of_argument(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

// Each refusal is a few instructions that fall through to the next where it does not fit.
void append(std::vector<sock_filter>& program, const Refusal& refusal) {
  const auto number = static_cast<std::uint32_t>(refusal.number);
  const std::uint32_t answer = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(refusal.error);
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber));
  if (refusal.where) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3));
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset_of_argument(refusal.where->index)));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal.where->value, 0, 1));
  } else {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, answer));
}

}  // namespace

void refuse_system_calls(const std::vector<Refusal>& refusals) {
  std::vector<sock_filter> program;
  for (const Refusal& refusal : refusals) {
    append(program, refusal);
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("cannot install the seccomp filter");
    std::abort();
  }
}

// It can tell whether a filter is in place already.
bool sandbox_works() { return prctl(PR_GET_SECCOMP) == 0 || prctl(PR_GET_SECCOMP) == 2; }

}  // namespace coaio::testing
